import type { Socket } from "bun";
import { ResponseParser } from "../../../lb/wire/index.ts";
import { until } from "./cluster.ts";

export interface RawResponse {
  status: number;
  fields: readonly string[];
  body: string;
  whole: boolean;
}

/** A client that sends what no HTTP library would. */
export class RawClient {
  readonly #socket: Socket;
  /** All that came, as it came. */
  received = "";
  closed = false;

  private constructor(socket: Socket) {
    this.#socket = socket;
  }

  static async connect(port: number): Promise<RawClient> {
    let client: RawClient | undefined;
    const socket = await Bun.connect({
      hostname: "127.0.0.1",
      port,
      socket: {
        data: (_socket, bytes) => {
          client!.received += bytes.toString("latin1");
        },
        close: () => {
          client!.closed = true;
        },
        error: () => undefined,
      },
    });
    client = new RawClient(socket);
    return client;
  }

  send(text: string): void {
    this.#socket.write(Buffer.from(text, "latin1"));
  }

  /** Sends one request in pieces of a byte each, every one in a packet of its own. */
  async trickle(text: string): Promise<void> {
    this.#socket.setNoDelay(true);
    for (const byte of text) {
      this.send(byte);
      await new Promise(setImmediate);
    }
  }

  /** The responses to requests of these methods, once all are whole. */
  async answers(...methods: string[]): Promise<RawResponse[]> {
    let found: RawResponse[] = [];
    await until(() => {
      found = responsesIn(this.received, methods);
      return found.length === methods.length && found.at(-1)!.whole;
    });
    return found;
  }

  leave(): void {
    this.#socket.terminate();
  }
}

function responsesIn(received: string, methods: readonly string[]): RawResponse[] {
  const responses: RawResponse[] = [];
  let rest = received;
  for (const method of methods) {
    const response: RawResponse = { status: 0, fields: [], body: "", whole: false };
    const parser = new ResponseParser();
    parser.begin(
      {
        onHead: (head) => {
          response.status = head.status;
          response.fields = head.fields;
        },
        onBody: (bytes, start, end) => {
          response.body += bytes.toString("latin1", start, end);
        },
        onEnd: () => {
          response.whole = true;
        },
      },
      method,
    );
    // Byte by byte, to see where the response ends.
    let used = 0;
    while (used < rest.length && parser.expecting) parser.push(Buffer.from(rest[used++]!, "latin1"));
    if (used === 0) break;
    rest = rest.slice(used);
    responses.push(response);
  }
  return responses;
}
