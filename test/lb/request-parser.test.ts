import { describe, expect, test } from "bun:test";
import { RequestParser } from "../../lb/wire/index.ts";
import { Random } from "./support/random.ts";

interface Seen {
  readonly method: string;
  readonly target: string;
  readonly fields: string;
  readonly body: string;
  readonly keepAlive: boolean;
}

interface Outcome {
  readonly requests: Seen[];
  readonly status: number | undefined;
}

const MAX_BODY = 1000;

/** Feeds `bytes` in pieces cut at the given offsets; gives the requests found, and the status for what is refused. */
function parse(bytes: Buffer, cuts: readonly number[]): Outcome {
  const requests: Seen[] = [];
  const parser = new RequestParser(MAX_BODY);
  try {
    let at = 0;
    for (const cut of [...cuts, bytes.length]) {
      // A copy: chunked data is compacted in place.
      let piece: Buffer | undefined = cut > at ? Buffer.from(bytes.subarray(at, cut)) : undefined;
      at = Math.max(at, cut);
      while (piece !== undefined && parser.push(piece)) {
        const { method, path, search, fields, keepAlive } = parser.head!;
        const body = parser.bytes.toString("latin1", parser.start, parser.end);
        requests.push({ method, target: path + search, fields: fields.join("\n"), body, keepAlive });
        piece = parser.rest;
        parser.next();
      }
    }
  } catch (error) {
    return { requests, status: (error as { status?: number }).status ?? -1 };
  }
  return { requests, status: undefined };
}

const parseText = (text: string): Outcome => parse(Buffer.from(text, "latin1"), []);

/** A request, and what a parser must make of it. */
function randomRequest(random: Random): { text: string; seen: Seen } {
  const method = random.pick(["GET", "POST", "PUT", "M-SEARCH"]);
  const target = random.pick(["/", "/generate", "/v1/x?y=%20z&a", "/?", "/a//b/../c"]);
  const body = Array.from({ length: random.below(300) }, () => String.fromCharCode(random.below(256))).join("");
  const close = random.below(4) === 0;
  const fields: [string, string][] = [["host", random.pick(["a", "127.0.0.1:80", "[::1]:8000", ""])]];
  if (close) fields.push(["connection", "close"]);
  fields.push([random.pick(["x-a", "accept", "x-request-id"]), random.pick(["b", "", "c,d\t e", "\xe9"])]);
  const framing = random.below(3);
  let payload = "";
  if (framing === 1) {
    fields.push(["content-length", String(body.length)]);
    payload = body;
  } else if (framing === 2) {
    fields.push(["transfer-encoding", random.pick(["chunked", "Chunked"])]);
    for (let at = 0; at < body.length;) {
      const data = body.slice(at, at + 1 + random.below(60));
      const digits = random.below(2) === 0 ? data.length.toString(16) : `0${data.length.toString(16).toUpperCase()}`;
      payload += `${digits}${random.pick(["", ";ext", ';a="b"'])}\r\n${data}\r\n`;
      at += data.length;
    }
    payload += `0\r\n${random.pick(["", "x-trailer: 1\r\n"])}\r\n`;
  }
  const lines = fields.map(([name, value]) => {
    const cased = random.below(2) === 0 ? name : name.toUpperCase();
    return `${cased}:${random.pick(["", " ", "\t"])}${value}${random.pick(["", " "])}\r\n`;
  });
  const scheme = random.below(5) === 0 ? "http://other:1" : "";
  const text = `${random.below(6) === 0 ? "\r\n" : ""}${method} ${scheme}${target} HTTP/1.1\r\n${lines.join("")}\r\n${payload}`;
  const flat = fields.flat().join("\n");
  return { text, seen: { method, target, fields: flat, body: framing === 0 ? "" : body, keepAlive: !close } };
}

const REQUESTS = Number(process.env["KVWIRE_LB_FUZZ"] ?? 5000);

test(`finds the requests that were written, over ${REQUESTS} random splits of pipelines`, () => {
  const random = new Random(7);
  for (let i = 0; i < REQUESTS; i++) {
    const written = Array.from({ length: 1 + random.below(3) }, () => randomRequest(random));
    const bytes = Buffer.from(written.map(({ text }) => text).join(""), "latin1");
    const cuts = Array.from({ length: random.below(8) }, () => random.below(bytes.length)).sort((a, b) => a - b);
    expect({ i, ...parse(bytes, cuts) }).toEqual({ i, requests: written.map(({ seen }) => seen), status: undefined });
  }
}, 300_000);

test("damaged requests give the same however they are split", () => {
  const random = new Random(8);
  const noise = [
    "\r",
    "\n",
    "\r\n",
    " ",
    ":",
    "\0",
    "0",
    "x",
    "Content-Length: 3\r\n",
    "Transfer-Encoding: chunked\r\n",
  ];
  for (let i = 0; i < REQUESTS; i++) {
    const { text } = randomRequest(random);
    const at = random.below(text.length);
    const damaged = text.slice(0, at) + random.pick(noise) + text.slice(at + random.below(3));
    const bytes = Buffer.from(damaged + randomRequest(random).text, "latin1");
    const each = Array.from(bytes, (_, byte) => byte);
    const [whole, split] = [parse(bytes, []), parse(bytes, each)];
    expect({ damaged, ...split }).toEqual({ damaged, ...whole });
  }
}, 300_000);

describe("refuses what two servers could read differently", () => {
  const line = "POST /generate HTTP/1.1\r\n";
  const host = `${line}Host: a\r\n`;
  test.each([
    ["a length beside chunks", `${host}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`, 400],
    ["chunks beside a length", `${host}Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n`, 400],
    ["two lengths", `${host}Content-Length: 1\r\nContent-Length: 2\r\n\r\n{}`, 400],
    ["a list of lengths", `${host}Content-Length: 2, 2\r\n\r\n{}`, 400],
    ["a signed length", `${host}Content-Length: +2\r\n\r\n{}`, 400],
    ["a length in hexadecimal", `${host}Content-Length: 0x2\r\n\r\n{}`, 400],
    ["an empty length", `${host}Content-Length:\r\n\r\n`, 400],
    ["a length that no number holds", `${host}Content-Length: 99999999999999999999\r\n\r\n`, 400],
    ["chunked hidden behind another coding", `${host}Transfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n`, 400],
    ["chunked twice", `${host}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`, 400],
    ["chunked with a vertical tab", `${host}Transfer-Encoding: \vchunked\r\n\r\n0\r\n\r\n`, 400],
    ["a length behind a no-break space", `${host}Content-Length: \xa02\r\n\r\n{}`, 400],
    ["a quoted coding", `${host}Transfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n`, 400],
    ["chunks in HTTP/1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400],
    ["a blank before the colon", `${host}Content-Length : 2\r\n\r\n{}`, 400],
    ["a folded field", `${host}a: b\r\n Content-Length: 2\r\n\r\n{}`, 400],
    ["a folded first field", `${line} Host: a\r\n\r\n`, 400],
    ["a field without a name", `${host}: x\r\n\r\n`, 400],
    ["a line without a colon", `${host}x\r\n\r\n`, 400],
    ["a lone LF between fields", `${host}a: b\nContent-Length: 2\r\n\r\n{}`, 400],
    ["a lone CR in a value", `${host}a: b\rContent-Length: 2\r\n\r\n{}`, 400],
    ["a NUL in a value", `${host}a: \0\r\n\r\n`, 400],
    ["a control character in a name", `${host}a\x01: x\r\n\r\n`, 400],
    ["no host", `${line}\r\n`, 400],
    ["two hosts", `${host}Host: b\r\n\r\n`, 400],
    ["a host with a path", `${line}Host: a/b\r\n\r\n`, 400],
    ["a host with a user", `${line}Host: a@b\r\n\r\n`, 400],
    ["two blanks in the request line", "POST  /generate HTTP/1.1\r\nHost: a\r\n\r\n", 400],
    ["a tab in the request line", "POST\t/generate HTTP/1.1\r\nHost: a\r\n\r\n", 400],
    ["a blank in the target", "POST /a b HTTP/1.1\r\nHost: a\r\n\r\n", 400],
    ["a lone LF in the request line", "POST / HTTP/1.1\nHost: a\r\n\r\n", 400],
    ["bytes above ASCII in the target", "POST /\xe9 HTTP/1.1\r\nHost: a\r\n\r\n", 400],
    ["a fragment in the target", "GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", 400],
    ["a target without a slash", "GET generate HTTP/1.1\r\nHost: a\r\n\r\n", 400],
    ["a tunnel", "CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", 400],
    ["a star for anything but OPTIONS", "POST * HTTP/1.1\r\nHost: a\r\n\r\n", 400],
    ["HTTP/0.9", "GET /\r\n\r\n", 400],
    ["HTTP/2's preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505],
    ["a version of two digits", "GET / HTTP/1.10\r\nHost: a\r\n\r\n", 505],
    ["a version in lower case", "GET / http/1.1\r\nHost: a\r\n\r\n", 400],
    ["an expectation nobody can meet", `${host}Expect: wonders\r\nContent-Length: 2\r\n\r\n{}`, 417],
    ["a chunk size in words", `${host}Transfer-Encoding: chunked\r\n\r\nx\r\n`, 400],
    ["a chunk size with a sign", `${host}Transfer-Encoding: chunked\r\n\r\n+1\r\na\r\n0\r\n\r\n`, 400],
    ["a chunk size with a prefix", `${host}Transfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n0\r\n\r\n`, 400],
    ["a chunk size behind a blank", `${host}Transfer-Encoding: chunked\r\n\r\n 1\r\na\r\n0\r\n\r\n`, 400],
    ["a chunk size of 16 digits", `${host}Transfer-Encoding: chunked\r\n\r\n1000000000000000\r\n`, 400],
    ["a chunk longer than it says", `${host}Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n`, 400],
    ["a chunk line that ends in LF alone", `${host}Transfer-Encoding: chunked\r\n\r\n1\na\r\n0\r\n\r\n`, 400],
    ["a lone LF in a chunk extension", `${host}Transfer-Encoding: chunked\r\n\r\n1;a\nb\r\na\r\n0\r\n\r\n`, 400],
    ["a folded trailer", `${host}Transfer-Encoding: chunked\r\n\r\n0\r\n a\r\n\r\n`, 400],
    ["a body above the limit", `${host}Content-Length: ${MAX_BODY + 1}\r\n\r\n`, 413],
    ["chunks above the limit", `${host}Transfer-Encoding: chunked\r\n\r\n400\r\n${"x".repeat(1024)}\r\n`, 413],
    ["a head without end", `${host}a: ${"x".repeat(70_000)}`, 431],
    ["too many fields", `${host}${"a: b\r\n".repeat(300)}\r\n`, 431],
  ])("%s", (_name, text, status) => {
    expect(parseText(text)).toEqual({ requests: [], status });
  });
});

test("what follows a refused request is never read as one", () => {
  const smuggled = "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n";
  const text = `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${smuggled}`;
  expect(parseText(text).requests).toEqual([]);
});

test.each([
  ["HTTP/1.1", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", true],
  ["connection: close", "GET / HTTP/1.1\r\nHost: a\r\nConnection: x, Close\r\n\r\n", false],
  ["HTTP/1.0", "GET / HTTP/1.0\r\n\r\n", false],
  ["HTTP/1.0 with keep-alive", "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", true],
])("%s: the connection is kept or not as it says", (_name, text, keepAlive) => {
  expect(parseText(text).requests[0]?.keepAlive).toBe(keepAlive);
});
