import { basename, resolve } from "node:path";
import { Checkpoint } from "./checkpoint/index.ts";
import { OptionError, RequestError } from "./errors.ts";
import { fakeBootstrap, halfOf, type KvLink } from "./disaggregation/index.ts";
import { KvPool } from "./kvcache/index.ts";
import { type Decoder, loadModel } from "./model/index.ts";
import { defaults, type EngineOptions } from "./options.ts";
import { poolPages } from "./pool-size.ts";
import { defaultSampling, type LogprobOptions, type SamplingParams } from "./sampling/index.ts";
import {
  type BootstrapAddress,
  GenerationOutput,
  type GenerationRequest,
  type Role,
  Scheduler,
  Sequence,
} from "./scheduler/index.ts";
import { ChatTemplate, Tokenizer } from "./tokenizer/index.ts";

/** Enough for the kernels to be compiled before the first request. */
const WARM_UP_TOKENS = 32;

/** A generation as a caller asks for it. */
export interface GenerationInput {
  readonly id?: string;
  /** Text, or token ids taken as they are. */
  readonly prompt: string | readonly number[];
  readonly sampling?: SamplingParams;
  readonly logprobs?: LogprobOptions;
  readonly bootstrap?: BootstrapAddress;
}

interface EngineParts {
  readonly options: EngineOptions;
  readonly checkpoint: Checkpoint;
  readonly model: Decoder;
  readonly tokenizer: Tokenizer;
  readonly chatTemplate: ChatTemplate | undefined;
  readonly pool: KvPool;
  readonly role: Role;
  readonly transfer: KvLink | undefined;
}

/** A model that generates: checkpoint, tokenizer, cache and scheduler put together. Knows nothing of HTTP. */
export class Engine {
  readonly options: EngineOptions;
  readonly modelName: string;
  readonly contextLength: number;
  readonly tokenizer: Tokenizer;
  /** Undefined where neither the checkpoint nor an option has one. */
  readonly chatTemplate: ChatTemplate | undefined;
  readonly pool: KvPool;
  readonly role: Role;
  /** The end of the KV transfer; undefined where one server does both halves. */
  readonly transfer: KvLink | undefined;
  readonly scheduler: Scheduler;
  readonly vocabularySize: number;
  readonly #eosTokenIds: ReadonlySet<number>;
  readonly #listeners: ((sequence: Sequence) => void)[] = [];
  #requests = 0;
  #ready = false;

  private constructor(parts: EngineParts) {
    const { options, model } = parts;
    this.options = options;
    this.modelName = options.servedModelName ?? basename(resolve(options.modelPath));
    this.contextLength = options.contextLength ?? model.contextLength;
    this.tokenizer = parts.tokenizer;
    this.chatTemplate = parts.chatTemplate;
    this.pool = parts.pool;
    this.role = parts.role;
    this.transfer = parts.transfer;
    this.vocabularySize = model.vocabularySize;
    this.#eosTokenIds = parts.checkpoint.eosTokenIds;
    this.scheduler = new Scheduler({
      step: model.createStep(parts.pool),
      pool: parts.pool,
      role: parts.role,
      chunkedPrefillSize: options.chunkedPrefillSize ?? defaults.chunkedPrefillSize,
      maxRunning: options.maxRunningRequests ?? defaults.maxRunningRequests,
      onFinish: (sequence) => this.#listeners.forEach((listen) => listen(sequence)),
    });
  }

  /** Loads everything. The engine works once `warmUp` has run. @throws {CheckpointError | OptionError} */
  static async create(options: EngineOptions): Promise<Engine> {
    const checkpoint = await Checkpoint.open(options.modelPath);
    const model = await loadModel(checkpoint, options.ropePrecision);
    const contextLength = options.contextLength ?? model.contextLength;
    if (contextLength > model.contextLength) {
      throw new OptionError("--context-length", `${contextLength} is more than the model's ${model.contextLength}`);
    }
    const tokenizer = await Tokenizer.load(options.tokenizerPath ?? options.modelPath);
    const chatTemplate = await loadChatTemplate(options, tokenizer);
    const link = halfOf(options);
    const pool = new KvPool({
      layout: model.layout,
      pageSize: options.pageSize ?? defaults.pageSize,
      pages: poolPages(options, model.layout, contextLength),
      memory: link.memory,
      seed: options.randomSeed ?? defaults.randomSeed,
    });
    const maxRunning = options.maxRunningRequests ?? defaults.maxRunningRequests;
    const { role, transfer } = await link.open(pool, maxRunning);
    const engine = new Engine({ options, checkpoint, model, tokenizer, chatTemplate, pool, role, transfer });
    role.attach?.(engine.scheduler);
    return engine;
  }

  /** Whether the engine has shown that it can generate. */
  get ready(): boolean {
    return this.#ready;
  }

  /** Starts the scheduler and generates a little, so that the first request meets compiled code. */
  async warmUp(): Promise<void> {
    this.scheduler.start();
    const room = Math.floor(Math.min(this.contextLength, this.pool.capacityTokens) / 2);
    const tokens = Math.max(1, Math.min(WARM_UP_TOKENS, room));
    const sampling = { ...defaultSampling, temperature: 0, maxNewTokens: tokens, ignoreEos: true };
    const prompt = Array.from({ length: tokens }, () => 0);
    const sequence = this.submit(this.prepare({ id: "warm-up", prompt, sampling, bootstrap: this.fakeBootstrap }));
    await sequence.done();
    if (sequence.error !== undefined) throw sequence.error;
    this.#ready = true;
  }

  /** What requests that are to stay inside name as their other half; undefined where there is none. */
  get fakeBootstrap(): BootstrapAddress | undefined {
    return this.transfer ? fakeBootstrap : undefined;
  }

  /** Calls `listener` with every sequence that ends. */
  onFinish(listener: (sequence: Sequence) => void): void {
    this.#listeners.push(listener);
  }

  /** Checks a request against model and pool. @throws {RequestError} 400 that says what is wrong with it. */
  prepare(input: GenerationInput): Sequence {
    const prompt = this.#promptTokens(input.prompt);
    const sampling = this.#fitSampling(input.sampling ?? defaultSampling, prompt.length);
    const request: GenerationRequest = {
      id: input.id ?? crypto.randomUUID().replaceAll("-", ""),
      prompt,
      sampling,
      seed: sampling.seed ?? (this.options.randomSeed ?? defaults.randomSeed) + this.#requests++,
      logprobs: input.logprobs,
      bootstrap: input.bootstrap,
    };
    const sequence = new Sequence(request, new GenerationOutput(request, this.tokenizer, this.#eosTokenIds));
    this.scheduler.check(sequence);
    return sequence;
  }

  /** Has a prepared sequence generated. @throws {RequestError} when it cannot be taken any more. */
  submit(sequence: Sequence): Sequence {
    this.scheduler.submit(sequence);
    return sequence;
  }

  /** Ends the live sequences whose id begins with `idPrefix`, all with "". @returns how many. */
  abort(idPrefix: string, reason: string): number {
    const found = [...this.scheduler.live].filter(({ request }) => request.id.startsWith(idPrefix));
    for (const sequence of found) this.scheduler.abort(sequence, reason);
    return found.length;
  }

  async close(): Promise<void> {
    this.#ready = false;
    await this.scheduler.close();
    await this.transfer?.close();
    this.pool.close();
  }

  #promptTokens(prompt: string | readonly number[]): Int32Array {
    const ids = typeof prompt === "string" ? this.tokenizer.encode(prompt) : prompt;
    if (ids.length === 0) throw RequestError.invalid("the prompt is empty");
    const stranger = ids.find((id) => !Number.isInteger(id) || id < 0 || id >= this.vocabularySize);
    if (stranger !== undefined) {
      throw RequestError.invalid(
        `token id ${stranger} is not in the vocabulary, which has ${this.vocabularySize} tokens`,
      );
    }
    if (ids.length >= this.contextLength) {
      throw RequestError.invalid(
        `The input (${ids.length} tokens) is longer than the model's context length (${this.contextLength} tokens).`,
      );
    }
    return Int32Array.from(ids);
  }

  /** The default number of new tokens gives way to the context's end; a number that was asked for is kept or refused. */
  #fitSampling(sampling: SamplingParams, promptLength: number): SamplingParams {
    const room = this.contextLength - promptLength;
    if (sampling.maxNewTokens <= room) return sampling;
    if (!sampling.maxNewTokensGiven) return { ...sampling, maxNewTokens: room };
    throw RequestError.invalid(
      `Requested token count exceeds the model's maximum context length of ${this.contextLength} tokens: ` +
        `${promptLength} of the input and ${sampling.maxNewTokens} new ones.`,
    );
  }
}

async function loadChatTemplate(options: EngineOptions, tokenizer: Tokenizer): Promise<ChatTemplate | undefined> {
  const file = options.chatTemplate;
  if (file === undefined) {
    return tokenizer.chatTemplate === undefined ? undefined : new ChatTemplate(tokenizer.chatTemplate, tokenizer);
  }
  if (!(await Bun.file(file).exists())) throw new OptionError("--chat-template", `${file} does not exist`);
  try {
    return new ChatTemplate(await Bun.file(file).text(), tokenizer);
  } catch (cause) {
    throw new OptionError("--chat-template", `${file} is no Jinja template: ${cause}`);
  }
}
