import { MockConnection, type MockRequest } from "./mock-connection.ts";
import { recordedAnswer } from "../recordings/recordings.ts";
import { abortedAnswer, answerTo, refuses, replay, roomlessAnswer, type RoleName } from "./replay.ts";
import type { RoomHub, RoomSide } from "./room-hub.ts";

export type Script = (request: MockRequest, body: Record<string, unknown>) => boolean;

/**
 * A mock SGLang server: waits and dies as the real ones were seen to, refuses in their recorded words, and answers a request
 * that was put to the real ones with their recorded answer; any other gets `tokens`. `script` may take a request over (and
 * say so by true). Prefill and decode sides of a room meet in the hub they share.
 */
export class MockWorker {
  readonly role: RoleName;
  readonly #hub: RoomHub;
  readonly #listener: Bun.TCPSocketListener<MockConnection>;
  readonly #connections = new Set<MockConnection>();
  readonly requests: MockRequest[] = [];
  readonly bodies: Record<string, unknown>[] = [];
  readonly aborts: string[] = [];
  readonly port: number;
  script: Script | undefined;
  apiKey: string | undefined;
  /** Tokens of an answer, and ms between two of a stream. */
  tokens = ["Hello", " big", " world"];
  gap = 0;
  /** ms until prefill's HTTP answer after its transfer. */
  lag = 0;
  /** ms until the first request of a connection is looked at, as where many wait to be accepted. */
  acceptDelay = 0;
  /** ms after which an idle connection is closed, as uvicorn does after 5,000; 0: never. */
  keepAlive = 0;
  crashed: string | undefined;
  healthy = true;
  accepted = 0;
  /** Idle connections that it closed itself. */
  expired = 0;

  constructor(role: RoleName, hub: RoomHub, port = 0) {
    this.role = role;
    this.#hub = hub;
    this.#listener = Bun.listen<MockConnection>({
      hostname: "127.0.0.1",
      port,
      socket: {
        open: (socket) => {
          this.accepted++;
          socket.data = new MockConnection(socket, (request) => this.#accept(request));
          this.#connections.add(socket.data);
        },
        data: (socket, bytes) => socket.data.push(bytes),
        drain: (socket) => socket.data.drained(),
        close: (socket) => {
          this.#connections.delete(socket.data);
          socket.data.closed();
        },
        error: () => undefined,
      },
    });
    this.port = this.#listener.port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  get connections(): number {
    return this.#connections.size;
  }

  stop(): void {
    this.#listener.stop(true);
    for (const connection of this.#connections) connection.reset();
  }

  closeIdle(): void {
    for (const connection of this.#connections) connection.close();
  }

  /** What a crash of the real server looks like from outside: nothing listens, everything is reset. */
  crash(reason: string): void {
    this.crashed = reason;
    this.stop();
  }

  #accept(request: MockRequest): void {
    const { connection } = request;
    connection.keepAlive = this.keepAlive;
    connection.onExpiry = () => this.expired++;
    if (this.acceptDelay > 0 && connection.served === 1) setTimeout(() => this.#serve(request), this.acceptDelay);
    else this.#serve(request);
  }

  #serve(request: MockRequest): void {
    this.requests.push(request);
    const { connection } = request;
    if (this.apiKey !== undefined && request.headers.get("authorization") !== `Bearer ${this.apiKey}`) {
      return replay(connection, recordedAnswer("no key", this.role));
    }
    let body: Record<string, unknown> = {};
    if (request.method === "POST" && request.text !== "") {
      try {
        body = JSON.parse(request.text) as Record<string, unknown>;
      } catch {
        return replay(connection, recordedAnswer("no JSON", this.role));
      }
      this.bodies.push(body);
    }
    if (this.script?.(request, body) === true) return;
    if (request.path === "/health") return connection.reply(this.healthy ? 200 : 503, "");
    if (request.path === "/abort_request") {
      const rid = String(body["rid"]);
      this.aborts.push(rid);
      this.#hub.abort(this.role, rid);
      return connection.reply(200, "");
    }
    if (request.path.startsWith("/flush_cache"))
      return replay(connection, recordedAnswer("POST /flush_cache", this.role));
    if (request.method === "POST") this.#generate(request, body);
    else {
      const answer = answerTo(this.role, request.method, request.path, undefined);
      replay(connection, answer ?? recordedAnswer("an unknown path", this.role));
    }
  }

  #generate(request: MockRequest, body: Record<string, unknown>): void {
    const { connection } = request;
    const rooms = [body["bootstrap_room"]].flat();
    const hosts = [body["bootstrap_host"]].flat();
    if (rooms.some((room) => typeof room === "number" && room < 0)) return this.crash("OverflowError: negative room");
    if (rooms.includes(undefined) || rooms.includes(null)) {
      return replay(connection, roomlessAnswer(this.role, request.path, body));
    }
    if (this.role === "decode" && hosts.includes(undefined)) return this.crash("AttributeError: no bootstrap host");
    const rid = [body["rid"]].flat().map(String);
    const id = Array.isArray(body["rid"]) ? rid[0]!.replace(/_0$/, "") : rid[0]!;
    const recorded = answerTo(this.role, "POST", request.path, body);
    if (recorded !== undefined && refuses(recorded)) return replay(connection, recorded, id);
    const answer = (): void => {
      if (recorded === undefined) this.#answer(connection, body, rid);
      else replay(connection, recorded, id, this.gap);
    };
    const samples = (body["sampling_params"] as { n?: number } | undefined)?.n ?? body["n"] ?? 1;
    const side: RoomSide = {
      rid,
      // The real one hangs where samples share a room, and in room 0.
      hangs: Number(samples) > 1 || rooms.includes(0),
      meet: () => setTimeout(answer, this.role === "prefill" ? this.lag : 0),
      aborted: () => replay(connection, abortedAnswer(this.role, request.path, body), id),
    };
    connection.onGone.push(() => this.#hub.leave(this.role, side));
    this.#hub.join(this.role, rooms.map(Number), side);
  }

  #answer(connection: MockConnection, body: Record<string, unknown>, rid: string[]): void {
    const openai = "messages" in body || "prompt" in body;
    const prompts = "bootstrap_room" in body && Array.isArray(body["bootstrap_room"]) ? rid.length : 1;
    const tokens = this.role === "prefill" ? this.tokens.slice(0, 1) : this.tokens;
    const one = (index: number, upTo: number, last: boolean): Record<string, unknown> => {
      const text = tokens.slice(0, upTo).join("");
      const finish = last ? { type: "length", length: upTo } : null;
      if (openai) {
        return { index, text, finish_reason: last ? "length" : null };
      }
      return {
        text,
        output_ids: tokens.slice(0, upTo).map((_, i) => i + 1),
        meta_info: {
          id: rid[index],
          finish_reason: finish,
          prompt_tokens: 11,
          completion_tokens: upTo,
          cached_tokens: 0,
          ...this.#logprobs(body),
        },
      };
    };
    const all = Array.from({ length: prompts }, (_, i) => i);
    if (body["stream"] !== true) {
      const items = all.map((i) => one(i, tokens.length, true));
      const usage = {
        prompt_tokens: 11 * prompts,
        completion_tokens: tokens.length * prompts,
        total_tokens: (11 + tokens.length) * prompts,
      };
      const whole = openai
        ? { id: rid[0], object: "text_completion", choices: items, usage }
        : Array.isArray(body["bootstrap_room"])
          ? items
          : items[0];
      return connection.reply(200, JSON.stringify(whole));
    }
    connection.streamHead();
    const steps = tokens.flatMap((_, t) => all.map((i) => ({ t, i })));
    const next = (at: number): void => {
      const step = steps[at];
      if (step === undefined) {
        connection.chunk("data: [DONE]\n\n");
        return connection.streamEnd();
      }
      const item = one(step.i, step.t + 1, step.t + 1 === tokens.length);
      const event = openai
        ? { id: rid[0], object: "text_completion", choices: [item] }
        : prompts > 1
          ? { ...item, index: step.i }
          : item;
      connection.chunk(`data: ${JSON.stringify(event)}\n\n`);
      if (this.gap > 0) setTimeout(() => next(at + 1), this.gap);
      else next(at + 1);
    };
    next(0);
  }

  #logprobs(body: Record<string, unknown>): Record<string, unknown> {
    if (body["return_logprob"] !== true) return {};
    const own =
      this.role === "prefill"
        ? [
            [null, 1, null],
            [-0.5, 2, null],
          ]
        : [];
    return { input_token_logprobs: own, output_token_logprobs: [[-0.1, 7, null]] };
  }
}
