import { expect, test } from "bun:test";
import { mergeLogprobEvents, mergeLogprobs } from "../../lb/relay/logprobs.ts";

const bytes = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));
const answer = (meta: object): object => ({ text: "x", meta_info: { id: "1", ...meta } });

const prefill = answer({
  input_token_logprobs: [
    [null, 1, null],
    [-1, 2, null],
  ],
  input_top_logprobs: [null, [[-1, 2, null]]],
  input_token_ids_logprobs: [null, []],
  output_token_logprobs: [[-9, 9, null]],
});
const decode = answer({ input_token_logprobs: [], input_top_logprobs: [], output_token_logprobs: [[-0.1, 7, null]] });
/** As one engine alone answers. */
const whole = answer({
  input_token_logprobs: [
    [null, 1, null],
    [-1, 2, null],
  ],
  input_top_logprobs: [null, [[-1, 2, null]]],
  output_token_logprobs: [[-0.1, 7, null]],
  input_token_ids_logprobs: [null, []],
});

test("an answer has prefill's lists about the prompt and decode's about the output", () => {
  expect(JSON.parse(mergeLogprobs(bytes(decode), bytes(prefill)).toString())).toEqual(whole);
});

test("a batch is merged item by item", () => {
  const merged = JSON.parse(mergeLogprobs(bytes([decode, decode]), bytes([prefill, prefill])).toString()) as unknown;
  expect(merged).toEqual([whole, whole]);
});

test("several events in one piece, in a batch told apart by index, are each merged", () => {
  const second = answer({ input_token_logprobs: [["second"]] });
  const text = `data: ${JSON.stringify({ ...decode, index: 1 })}\n\ndata: ${JSON.stringify({ ...decode, index: 0 })}\n\ndata: [DONE]\n\n`;
  const merged = mergeLogprobEvents(Buffer.from(text), bytes([prefill, second]))
    .toString()
    .split("\n\n");
  expect(merged[0]).toContain('[["second"]]');
  expect(JSON.parse(merged[1]!.slice(6))).toEqual({ ...whole, index: 0 });
  expect(merged[2]).toBe("data: [DONE]");
});

test("routed experts are prefill's bytes and then decode's beyond them, in either place", () => {
  const base64 = (text: string): string => Buffer.from(text).toString("base64");
  for (const place of ["meta_info", "sglext"]) {
    const merged = mergeLogprobs(
      bytes({ [place]: { routed_experts: base64("??cdef") } }),
      bytes({ [place]: { routed_experts: base64("ab") } }),
    );
    expect((JSON.parse(merged.toString()) as Record<string, unknown>)[place]).toEqual({
      routed_experts: base64("abcdef"),
    });
  }
});

test("an answer of another shape is left alone", () => {
  for (const odd of ["not json", "5", '"x"'])
    expect(mergeLogprobs(Buffer.from(odd), bytes(prefill)).toString()).toBe(odd);
  expect(mergeLogprobs(bytes(decode), Buffer.from("nonsense")).toString()).toBe(JSON.stringify(decode));
});
