import { describe, expect, test } from "bun:test";
import { ResponseParser } from "../../lb/wire/index.ts";
import { Random } from "./support/random.ts";

/** What a parser told of one response. */
interface Seen {
  status: number;
  fields: string[];
  body: string;
  ended: boolean;
  reusable: boolean;
  error: string | undefined;
}

/** Feeds `bytes` in pieces cut at the given offsets. */
function parse(bytes: Buffer, cuts: readonly number[], { method = "POST", eof = false } = {}): Seen {
  const seen: Seen = { status: 0, fields: [], body: "", ended: false, reusable: false, error: undefined };
  const parser = new ResponseParser();
  parser.begin(
    {
      onHead: (head) => {
        seen.status = head.status;
        seen.fields = [...head.fields];
      },
      onBody: (data, start, end) => {
        seen.body += data.toString("latin1", start, end);
      },
      onEnd: (reusable) => {
        seen.ended = true;
        seen.reusable = reusable;
      },
    },
    method,
  );
  try {
    let at = 0;
    for (const cut of [...cuts, bytes.length]) {
      // A copy: chunked data is compacted in place. What comes after the end is for the connection to refuse.
      if (cut > at && parser.expecting) parser.push(Buffer.from(bytes.subarray(at, cut)));
      else if (cut > at) seen.reusable = false;
      at = cut;
    }
    if (eof) parser.eof();
  } catch (error) {
    seen.error = (error as { code?: string }).code ?? String(error);
  }
  return seen;
}

/** The same by the book and all at once: slow, short, and made for well-formed answers only. */
function reference(text: string): Pick<Seen, "status" | "body"> {
  let rest = text;
  for (;;) {
    const end = rest.indexOf("\r\n\r\n");
    const head = rest.slice(0, end);
    rest = rest.slice(end + 4);
    const status = Number(head.slice(9, 12));
    if (status < 200) continue;
    const length = /^content-length: *(\d+)/im.exec(head);
    if (length !== null) return { status, body: rest.slice(0, Number(length[1])) };
    if (!/^transfer-encoding: *chunked/im.test(head)) return { status, body: rest };
    let body = "";
    for (;;) {
      const line = rest.indexOf("\r\n");
      const size = Number.parseInt(rest.slice(0, line), 16);
      if (size === 0) return { status, body };
      body += rest.slice(line + 2, line + 2 + size);
      rest = rest.slice(line + 2 + size + 2);
    }
  }
}

function randomResponse(random: Random): { text: string; eof: boolean } {
  const body = Array.from({ length: random.below(300) }, () => String.fromCharCode(random.below(256))).join("");
  const interim = random.below(4) === 0 ? "HTTP/1.1 100 Continue\r\n\r\n" : "";
  const name = random.pick(["X-A", "x-b", "Server"]);
  const head = `${interim}HTTP/1.1 ${random.pick([200, 200, 404, 503])} ${random.pick(["OK", "", "Some Reason"])}\r\n${name}:${random.pick([" a", "b ", "", "\tc\t"])}\r\n`;
  const framing = random.below(3);
  if (framing === 0) return { text: `${head}Content-Length: ${body.length}\r\n\r\n${body}`, eof: false };
  if (framing === 1) return { text: `${head}\r\n${body}`, eof: true };
  let chunks = "";
  for (let at = 0; at < body.length;) {
    const size = 1 + random.below(60);
    const data = body.slice(at, at + size);
    const digits = random.below(2) === 0 ? data.length.toString(16) : `0${data.length.toString(16).toUpperCase()}`;
    chunks += `${digits}${random.pick(["", ";ext", ';a="b"'])}\r\n${data}\r\n`;
    at += size;
  }
  const trailers = random.pick(["", "x-trailer: 1\r\n", "a: b\r\nc: d\r\n"]);
  return { text: `${head}transfer-encoding: chunked\r\n\r\n${chunks}0\r\n${trailers}\r\n`, eof: false };
}

const RESPONSES = Number(process.env["KVWIRE_LB_FUZZ"] ?? 5000);

test(`agrees with a parser that sees all at once, over ${RESPONSES} random splits`, () => {
  const random = new Random(11);
  for (let i = 0; i < RESPONSES; i++) {
    const { text, eof } = randomResponse(random);
    const bytes = Buffer.from(text, "latin1");
    const cuts = Array.from({ length: random.below(8) }, () => random.below(bytes.length)).sort((a, b) => a - b);
    const { status, body, ended, error } = parse(bytes, cuts, { eof });
    expect({ text, cuts, status, body, ended, error }).toEqual({
      text,
      cuts,
      ...reference(text),
      ended: true,
      error: undefined,
    });
  }
}, 300_000);

test("one byte at a time is the same as all at once", () => {
  const bytes = Buffer.from(
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nt: 1\r\n\r\n",
  );
  const cuts = Array.from(bytes, (_, i) => i);
  expect(parse(bytes, cuts)).toMatchObject({ body: "hello world", ended: true, reusable: true });
});

describe("refuses what could split or smuggle a response", () => {
  const head = "HTTP/1.1 200 OK\r\n";
  test.each([
    ["a folded field", `${head}a: b\r\n c: d\r\n\r\n`],
    ["a folded first field", `${head} a: b\r\n\r\n`],
    ["a blank before the colon", `${head}content-length : 2\r\n\r\n{}`],
    ["an empty name", `${head}: x\r\n\r\n`],
    ["a name with a control character", `${head}a\x01: x\r\n\r\n`],
    ["a lone LF in the head", `${head}a: b\ncontent-length: 0\r\n\r\n`],
    ["a lone CR in a value", `${head}a: b\rc\r\n\r\n`],
    ["a NUL in a value", `${head}a: \0\r\n\r\n`],
    ["two different lengths", `${head}content-length: 1\r\ncontent-length: 2\r\n\r\n{}`],
    ["a list of lengths", `${head}content-length: 2, 2\r\n\r\n{}`],
    ["a signed length", `${head}content-length: +2\r\n\r\n{}`],
    ["a length that no number holds", `${head}content-length: 99999999999999999999\r\n\r\n`],
    ["a length beside chunks", `${head}content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`],
    ["another coding", `${head}transfer-encoding: gzip, chunked\r\n\r\n`],
    ["chunked twice", `${head}transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n`],
    ["a coding behind a vertical tab", `${head}transfer-encoding: \vchunked\r\n\r\n0\r\n\r\n`],
    ["a length behind a no-break space", `${head}content-length: \xa02\r\n\r\n{}`],
    ["chunks in HTTP/1.0", "HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"],
    ["HTTP/2 in plain text", "HTTP/2 200\r\n\r\n"],
    ["a status of four digits", "HTTP/1.1 2000 OK\r\n\r\n"],
    ["an upgrade nobody asked for", "HTTP/1.1 101 Switching\r\n\r\n"],
    ["a chunk size in words", `${head}transfer-encoding: chunked\r\n\r\nx\r\n`],
    ["an empty chunk size", `${head}transfer-encoding: chunked\r\n\r\n\r\n`],
    ["a chunk size with a sign", `${head}transfer-encoding: chunked\r\n\r\n-1\r\n`],
    ["a chunk size of 16 digits", `${head}transfer-encoding: chunked\r\n\r\n1000000000000000\r\n`],
    ["a chunk longer than it says", `${head}transfer-encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n`],
    ["a chunk line that ends in LF alone", `${head}transfer-encoding: chunked\r\n\r\n1\na\r\n0\r\n\r\n`],
    ["a folded trailer", `${head}transfer-encoding: chunked\r\n\r\n0\r\n a\r\n\r\n`],
    ["a head without end", `${head}a: ${"x".repeat(70_000)}`],
    ["too many fields", `${head}${"a: b\r\n".repeat(300)}\r\n`],
  ])("%s", (_name, text) => {
    expect(parse(Buffer.from(text, "latin1"), []).error).toBe("HTTP_PROTOCOL");
  });
});

test.each([
  ["bytes after the end", "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}HTTP/1.1 200 OK\r\n\r\n"],
  ["connection: close", "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}"],
  ["HTTP/1.0", "HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\n{}"],
])("after %s the connection is not used again", (_name, text) => {
  expect(parse(Buffer.from(text), [])).toMatchObject({ body: "{}", ended: true, reusable: false });
});

test.each([
  [204, "POST"],
  [304, "GET"],
  [200, "HEAD"],
])("%i to %s has no body, whatever its length says", (status, method) => {
  const text = `HTTP/1.1 ${status} X\r\ncontent-length: 5\r\n\r\n`;
  expect(parse(Buffer.from(text), [], { method })).toMatchObject({ status, body: "", ended: true, reusable: true });
});

test("an end of stream in mid-body is an error, not an end", () => {
  expect(parse(Buffer.from("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nab"), [], { eof: true }).error).toBe(
    "HTTP_PROTOCOL",
  );
  expect(
    parse(Buffer.from("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nab"), [], { eof: true }).error,
  ).toBe("HTTP_PROTOCOL");
});
