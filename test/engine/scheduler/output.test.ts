import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { Tokenizer } from "../../../engine/tokenizer/index.ts";
import { modelsDirectory } from "../references.ts";
import { toySequence } from "./toy.ts";

const tokenizer = await Tokenizer.load(join(modelsDirectory, "kjv-llama-4m"));
const text = "And it came to pass, when Jesus had finished";
const ids = tokenizer.encode(text).slice(1);

/** Appends tokens until the output ends; gives the texts shown on the way. */
function feed(sampling: Parameters<typeof toySequence>[1], tokens: readonly number[] = ids) {
  const { output } = toySequence([0], { maxNewTokens: 100, ...sampling });
  const shown: string[] = [];
  for (const token of tokens) {
    if (output.finishReason !== undefined) break;
    output.append({ token });
    shown.push(output.text);
  }
  return { output, shown };
}

describe("GenerationOutput", () => {
  test("a stop string that spans tokens cuts the text before it", () => {
    const { output, shown } = feed({ stop: ["ame to pa"] });
    expect(output.text).toBe("And it c");
    expect(output.finishReason).toEqual({ type: "stop", matched: "ame to pa" });
    for (const part of shown) expect("And it c".startsWith(part)).toBe(true);
  });

  test("with no_stop_trim the stop string stays", () => {
    expect(feed({ stop: ["pass"], trimStop: false }).output.text).toBe("And it came to pass");
  });

  test("text that began like a stop string appears once it is none", () => {
    const { output } = feed({ stop: ["passage"], maxNewTokens: ids.length });
    expect(output.text).toBe(text);
    expect(output.finishReason).toEqual({ type: "length", length: ids.length });
  });

  test("what waited for a stop string is shown when the end comes first", () => {
    const end = ids.slice(0, 3);
    const seen = tokenizer.decode(end, true);
    const { output, shown } = feed({ stop: [`${seen.at(-1)}zzz`], maxNewTokens: 3 }, end);
    expect(shown[1]!.length).toBeLessThan(seen.length);
    expect(output.text).toBe(seen);
  });

  test("end-of-text ends with its id and leaves no text, unless ignored", () => {
    const stopped = feed({}, [...ids, 1, 300]).output;
    expect(stopped.finishReason).toEqual({ type: "stop", matched: 1 });
    expect(stopped.text).toBe(text);
    expect(stopped.tokens.at(-1)!.token).toBe(1);
    const ignored = feed({ ignoreEos: true, skipSpecialTokens: false }, [1, 300, 1]).output;
    expect(ignored.finishReason).toBeUndefined();
    expect(ignored.text).toContain("<|end_of_text|>");
  });

  test("stop_token_ids end it as well, even when end-of-text is ignored", () => {
    const { output } = feed({ stopTokenIds: new Set([ids[4]!]), ignoreEos: true });
    expect(output.finishReason).toEqual({ type: "stop", matched: ids[4]! });
    expect(output.text).toBe(tokenizer.decode(ids.slice(0, 4), true));
  });
});
