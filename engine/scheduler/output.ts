import { StopStrings, type TokenLogprob } from "../sampling/index.ts";
import { TextAssembler, type Tokenizer } from "../tokenizer/index.ts";
import type { FinishReason, GenerationRequest } from "./request.ts";

/** One generated token, with what was asked to be known of it. */
export interface GeneratedToken {
  readonly token: number;
  /** Present when the request wants log-probabilities. */
  readonly logprob?: number;
  readonly best?: readonly TokenLogprob[];
}

/** A token of the prompt; the first one told of has no log-probability. */
export interface PromptLogprob {
  readonly token: number;
  readonly logprob: number | null;
  readonly best: readonly TokenLogprob[] | null;
}

/** What a generation has brought so far, and the rules by which it ends of itself. */
export class GenerationOutput {
  readonly tokens: GeneratedToken[] = [];
  readonly prompt: PromptLogprob[] = [];
  #finish: FinishReason | undefined;
  #text = "";
  #searched = 0;
  readonly #request: GenerationRequest;
  readonly #eosTokenIds: ReadonlySet<number>;
  readonly #assembler: TextAssembler;
  readonly #stops: StopStrings;

  constructor(request: GenerationRequest, tokenizer: Tokenizer, eosTokenIds: ReadonlySet<number>) {
    this.#request = request;
    this.#eosTokenIds = eosTokenIds;
    this.#assembler = new TextAssembler(tokenizer, request.sampling.skipSpecialTokens);
    this.#stops = new StopStrings(request.sampling.stop);
  }

  /** The text that may be shown: what could be the beginning of a stop string waits. */
  get text(): string {
    return this.#text;
  }

  get finishReason(): FinishReason | undefined {
    return this.#finish;
  }

  /** Adds a token; afterwards `finishReason` says whether it was the last one. */
  append(generated: GeneratedToken): void {
    const { sampling } = this.#request;
    this.tokens.push(generated);
    const { token } = generated;
    const ends = sampling.stopTokenIds.has(token) || (!sampling.ignoreEos && this.#eosTokenIds.has(token));
    if (!ends || !sampling.trimStop) this.#assembler.append(token);
    if (this.#cutAtStopString()) return;
    if (ends) this.finish({ type: "stop", matched: token });
    else if (this.tokens.length >= sampling.maxNewTokens) this.finish({ type: "length", length: this.tokens.length });
    else this.#text = this.#visible();
  }

  /** Ends the generation; text that waited is shown. Later calls change nothing. */
  finish(reason: FinishReason): void {
    if (this.#finish !== undefined) return;
    this.#assembler.finish();
    if (this.#cutAtStopString()) return;
    this.#text = this.#assembler.text;
    this.#finish = reason;
  }

  #cutAtStopString(): boolean {
    const { text } = this.#assembler;
    const match = this.#stops.find(text, this.#searched);
    this.#searched = text.length;
    if (match === undefined) return false;
    this.#text = text.slice(0, this.#request.sampling.trimStop ? match.at : match.at + match.stop.length);
    this.#finish = { type: "stop", matched: match.stop };
    return true;
  }

  #visible(): string {
    const { text } = this.#assembler;
    return text.slice(0, text.length - this.#stops.pending(text));
  }
}
