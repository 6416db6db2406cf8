import { afterAll, beforeAll, test } from "bun:test";
import { describeRdma } from "../../rxe/describe.ts";
import { modelNames } from "../references.ts";
import { Half } from "./hosts/half.ts";
import { expectReferences } from "./hosts/jobs.ts";

const host = "127.0.0.1";

describeRdma("engines over verbs in one machine", () => {
  let prefill: Half;
  let decode: Half;

  beforeAll(async () => {
    [prefill, decode] = await Promise.all([Half.start("prefill", host), Half.start("decode", host)]);
  }, 240_000);

  afterAll(() => Promise.all([prefill?.close(), decode?.close()]));

  test.each(modelNames)(
    "%s: all reference prompts, 16 rooms at once, fragmented pages on both sides, exact tokens",
    async (model) => {
      const port = prefill.ports[model];
      await expectReferences(model, { host, port }, (ask) => [prefill.generate(ask), decode.generate(ask)]);
    },
    240_000,
  );
});
