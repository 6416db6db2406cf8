import { describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { cp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ChatTemplate, TextAssembler, Tokenizer } from "../../../engine/tokenizer/index.ts";
import { modelsDirectory, readReferences } from "../references.ts";

const directory = join(modelsDirectory, "kjv-llama-4m");
const tokenizer = await Tokenizer.load(directory);

async function withConfig(config: unknown): Promise<Tokenizer> {
  const copy = mkdtempSync(join(tmpdir(), "kvwire-tokenizer-"));
  try {
    await cp(join(directory, "tokenizer.json"), join(copy, "tokenizer.json"));
    await Bun.write(join(copy, "tokenizer_config.json"), JSON.stringify(config));
    return await Tokenizer.load(copy);
  } finally {
    rmSync(copy, { recursive: true });
  }
}

describe("Tokenizer", () => {
  test("encodes the reference prompts with one leading begin-of-text token", async () => {
    for (const { prompt, input_ids: ids } of await readReferences("kjv-llama-4m")) {
      expect(tokenizer.encode(prompt)).toEqual(ids);
      expect(tokenizer.encode(`<|begin_of_text|>${prompt}`)).toEqual(ids);
    }
  });

  test("add_bos_token false, or no bos_token, leaves it out", async () => {
    const without = tokenizer.encode("In the beginning").slice(1);
    const off = await withConfig({ bos_token: "<|begin_of_text|>", add_bos_token: false });
    expect(off.encode("In the beginning")).toEqual(without);
    expect((await withConfig({ bos_token: null })).encode("In the beginning")).toEqual(without);
    const asObject = await withConfig({ bos_token: { content: "<|begin_of_text|>" } });
    expect(asObject.encode("In the beginning")).toEqual([0, ...without]);
  });

  test("special tokens are decoded only when asked for", () => {
    expect(tokenizer.decode([0, 260, 1], true)).toBe(" the");
    expect(tokenizer.decode([0, 260, 1], false)).toBe("<|begin_of_text|> the<|end_of_text|>");
    expect(tokenizer.decode([], true)).toBe("");
  });

  test("a chat template is read from the configuration, named or not", async () => {
    expect(tokenizer.chatTemplate).toBeUndefined();
    expect((await withConfig({ chat_template: "A" })).chatTemplate).toBe("A");
    const named = [
      { name: "tool_use", template: "T" },
      { name: "default", template: "D" },
    ];
    expect((await withConfig({ chat_template: named })).chatTemplate).toBe("D");
  });
});

describe("TextAssembler", () => {
  test("gives out whole characters only, and everything in the end", () => {
    const text = "Łódź 日本 🎉 and the LORD";
    const assembler = new TextAssembler(tokenizer, true);
    for (const id of tokenizer.encode(text).slice(1)) {
      assembler.append(id);
      expect(text.startsWith(assembler.text)).toBe(true);
    }
    assembler.finish();
    expect(assembler.text).toBe(text);
  });

  test("a character that never becomes whole appears as broken at the end", () => {
    const assembler = new TextAssembler(tokenizer, true);
    const [first] = tokenizer.encode("日").slice(1);
    assembler.append(first!);
    expect(assembler.text).toBe("");
    assembler.finish();
    expect(assembler.text).toBe("\uFFFD");
  });
});

test("ChatTemplate renders messages with the checkpoint's tokens, and reports what a template refuses", async () => {
  const plain = new ChatTemplate(await Bun.file(join(modelsDirectory, "chat.jinja")).text(), tokenizer);
  const messages = [
    { role: "system", content: "one" },
    { role: "user", content: "two" },
  ];
  expect(plain.render(messages)).toBe("one\ntwo ");
  const own = new ChatTemplate("{{ bos_token }}{% if add_generation_prompt %}>{% endif %}{{ extra }}", tokenizer);
  expect(own.render(messages, { extra: 5 })).toBe("<|begin_of_text|>>5");
  const strict = new ChatTemplate("{{ raise_exception('roles must alternate') }}", tokenizer);
  expect(() => strict.render(messages)).toThrow("roles must alternate");
});
