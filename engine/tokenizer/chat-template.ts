import { Template } from "@huggingface/jinja";
import { RequestError } from "../errors.ts";
import type { Tokenizer } from "./tokenizer.ts";

export interface ChatMessage {
  readonly role: string;
  readonly content: string;
}

/** Renders a conversation as the text of a prompt. */
export class ChatTemplate {
  readonly #template: Template;
  readonly #tokens: Readonly<Record<string, string>>;

  /** @throws when `source` is no Jinja template. */
  constructor(source: string, tokenizer: Tokenizer) {
    this.#template = new Template(source);
    this.#tokens = { bos_token: tokenizer.bosToken ?? "", eos_token: tokenizer.eosToken ?? "" };
  }

  /** @throws {RequestError} 400 with the template's own words, when it refuses the messages. */
  render(messages: readonly ChatMessage[], variables: Readonly<Record<string, unknown>> = {}): string {
    try {
      return this.#template.render({ add_generation_prompt: true, ...variables, ...this.#tokens, messages });
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new RequestError("REQUEST_INVALID", 400, `the chat template refused the messages: ${why}`, { cause });
    }
  }
}
