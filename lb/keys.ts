import { timingSafeEqual } from "node:crypto";
import type { Options } from "./config/index.ts";
import type { RequestHeaders } from "./relay/index.ts";

const digest = (text: string): Uint8Array => new Bun.CryptoHasher("sha256").update(text).digest();

/** Who may ask for what: clients with the api key, administrators with theirs. Without a key set, everybody. */
export class Keys {
  readonly #client: Uint8Array | undefined;
  readonly #admin: Uint8Array | undefined;

  constructor({ apiKey, adminKey }: Pick<Options, "apiKey" | "adminKey">) {
    this.#client = apiKey === undefined ? undefined : digest(apiKey);
    this.#admin = adminKey === undefined ? this.#client : digest(adminKey);
  }

  /** Compares digests, so that neither length nor content shows in the time it takes. */
  admits(headers: RequestHeaders, who: "client" | "admin"): boolean {
    const wanted = who === "client" ? this.#client : this.#admin;
    if (wanted === undefined) return true;
    const [scheme = "", given = ""] = (headers.get("authorization") ?? "").split(" ");
    // Anthropic's clients send their key in a header of its own.
    const key = scheme.toLowerCase() === "bearer" ? given : (headers.get("x-api-key") ?? "");
    return timingSafeEqual(digest(key), wanted);
  }
}
