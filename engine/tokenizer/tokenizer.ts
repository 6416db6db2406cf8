import { join } from "node:path";
import { Tokenizer as HuggingFaceTokenizer } from "@huggingface/tokenizers";
import { z } from "zod";
import { readJson } from "../checkpoint/index.ts";
import { CheckpointError } from "../errors.ts";

const tokenText = z.union([z.string(), z.looseObject({ content: z.string() }).transform((token) => token.content)]);
const configSchema = z.looseObject({
  bos_token: tokenText.nullish(),
  eos_token: tokenText.nullish(),
  add_bos_token: z.boolean().nullish(),
  clean_up_tokenization_spaces: z.boolean().default(false),
  chat_template: z.union([z.string(), z.array(z.looseObject({ name: z.string(), template: z.string() }))]).nullish(),
});

type TokenizerConfig = z.infer<typeof configSchema>;

/** Text to token ids and back, as tokenizer.json and tokenizer_config.json describe it. */
export class Tokenizer {
  readonly bosToken: string | undefined;
  readonly eosToken: string | undefined;
  /** The checkpoint's own chat template, where it has one. */
  readonly chatTemplate: string | undefined;
  readonly #tokenizer: HuggingFaceTokenizer;
  readonly #bosId: number | undefined;

  private constructor(tokenizer: HuggingFaceTokenizer, config: TokenizerConfig, template: string | undefined) {
    this.#tokenizer = tokenizer;
    this.bosToken = config.bos_token ?? undefined;
    this.eosToken = config.eos_token ?? undefined;
    this.chatTemplate = template;
    const wantsBos = this.bosToken !== undefined && config.add_bos_token !== false;
    this.#bosId = wantsBos ? tokenizer.token_to_id(this.bosToken!) : undefined;
  }

  /** @throws {CheckpointError} when tokenizer.json is missing or cannot be used. */
  static async load(directory: string): Promise<Tokenizer> {
    const definition = await readJson(directory, "tokenizer.json");
    const config = await readConfig(directory);
    try {
      const tokenizer = new HuggingFaceTokenizer(z.looseObject({}).parse(definition), config);
      return new Tokenizer(tokenizer, config, await readTemplate(directory, config));
    } catch (cause) {
      throw new CheckpointError("TOKENIZER_INVALID", `${directory}/tokenizer.json cannot be used: ${cause}`, { cause });
    }
  }

  /**
   * Token ids of a prompt. They begin with the begin-of-text token where the checkpoint names one and does not turn it
   * off (`add_bos_token: false`), once, whether the tokenizer's own post-processor, a chat template or nobody put it.
   */
  encode(text: string): number[] {
    const { ids } = this.#tokenizer.encode(text);
    const bos = this.#bosId;
    return bos === undefined || ids[0] === bos ? ids : [bos, ...ids];
  }

  decode(ids: readonly number[], skipSpecialTokens: boolean): string {
    if (ids.length === 0) return "";
    return this.#tokenizer.decode([...ids], { skip_special_tokens: skipSpecialTokens });
  }
}

async function readConfig(directory: string): Promise<TokenizerConfig> {
  const name = "tokenizer_config.json";
  const exists = await Bun.file(join(directory, name)).exists();
  const parsed = configSchema.safeParse(exists ? await readJson(directory, name) : {});
  if (parsed.success) return parsed.data;
  throw new CheckpointError("TOKENIZER_INVALID", `${join(directory, name)}: ${z.prettifyError(parsed.error)}`);
}

/** The template lies in tokenizer_config.json, alone or among named ones, or in a file of its own. */
async function readTemplate(directory: string, config: TokenizerConfig): Promise<string | undefined> {
  const file = Bun.file(join(directory, "chat_template.jinja"));
  if (await file.exists()) return file.text();
  const template = config.chat_template;
  if (typeof template === "string") return template;
  return template?.find(({ name }) => name === "default")?.template;
}
