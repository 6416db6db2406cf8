import { freemem } from "node:os";
import { OptionError } from "./errors.ts";
import { bytesPerToken, type KvLayout } from "./kvcache/index.ts";
import { defaults, type EngineOptions } from "./options.ts";

/** Pages of the KV pool: as the options say, else what the memory fraction gives, bounded by what could ever be used. */
export function poolPages(options: EngineOptions, layout: KvLayout, contextLength: number): number {
  const pageSize = options.pageSize ?? defaults.pageSize;
  if (options.maxTotalTokens !== undefined) {
    const pages = Math.floor(options.maxTotalTokens / pageSize);
    if (pages > 0) return pages;
    throw new OptionError(
      "--max-total-tokens",
      `${options.maxTotalTokens} is less than one page of ${pageSize} tokens`,
    );
  }
  const bytes = freemem() * (options.memFractionStatic ?? defaults.memFractionStatic);
  const usable = (options.maxRunningRequests ?? defaults.maxRunningRequests) * Math.ceil(contextLength / pageSize);
  const pages = Math.min(usable, Math.floor(bytes / (bytesPerToken(layout) * pageSize)));
  if (pages > 0) return pages;
  throw new OptionError("--mem-fraction-static", `leaves ${bytes} bytes for the KV pool, less than one page`);
}
