import type { Tokenizer } from "./tokenizer.ts";

const REPLACEMENT = "\uFFFD";

/**
 * Turns a growing list of token ids into text. A character may span tokens and a token's text may depend on the one
 * before, so a few tokens are decoded again each time, and what ends within a character waits for the next token.
 */
export class TextAssembler {
  readonly #tokenizer: Tokenizer;
  readonly #skipSpecialTokens: boolean;
  readonly #ids: number[] = [];
  /** Tokens from here on are decoded again, as context. */
  #context = 0;
  /** Tokens before this have their text in `text`. */
  #done = 0;
  #text = "";

  constructor(tokenizer: Tokenizer, skipSpecialTokens: boolean) {
    this.#tokenizer = tokenizer;
    this.#skipSpecialTokens = skipSpecialTokens;
  }

  /** The text so far, whole characters only. */
  get text(): string {
    return this.#text;
  }

  append(id: number): void {
    this.#ids.push(id);
    const grown = this.#decode(this.#ids.length);
    if (grown.endsWith(REPLACEMENT)) return;
    this.#text += grown.slice(this.#decode(this.#done).length);
    this.#context = this.#done;
    this.#done = this.#ids.length;
  }

  /** No more tokens come: adds what was waiting, a broken character included. */
  finish(): void {
    this.#text += this.#decode(this.#ids.length).slice(this.#decode(this.#done).length);
    this.#context = this.#done;
    this.#done = this.#ids.length;
  }

  #decode(end: number): string {
    return this.#tokenizer.decode(this.#ids.slice(this.#context, end), this.#skipSpecialTokens);
  }
}
