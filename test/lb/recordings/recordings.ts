import { headSchema, RECORDINGS_FILE, recordingSchema, type RecordedAnswer, type Recording } from "./recording.ts";

/** What a load balancer adds; requests are told apart by the rest. */
const ADDED = new Set(["bootstrap_host", "bootstrap_port", "bootstrap_room", "rid"]);

function keyOf(method: string, path: string, body: unknown): string {
  const entries = typeof body === "object" && body !== null ? Object.entries(body) : [];
  // Prefill is told not to stream where its whole answer is wanted.
  const own = entries
    .filter(([name, value]) => !ADDED.has(name) && !(name === "stream" && value === false))
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return `${method} ${path} ${typeof body === "string" ? body : JSON.stringify(own)}`;
}

const [first = "", ...lines] = (await Bun.file(RECORDINGS_FILE).text()).trim().split("\n");
const head = headSchema.parse(JSON.parse(first));
const recordings = lines.map((line) => recordingSchema.parse(JSON.parse(line)));
const byName = new Map(recordings.map((recording) => [recording.name, recording]));
/** Cases of the same request differ in what was done to it: the first is the plain one. */
const byRequest = new Map(
  recordings.toReversed().map((recording) => [keyOf(recording.method, recording.path, recording.body), recording]),
);

/** The recording of that name. */
export function recorded(name: string): Recording {
  const recording = byName.get(name);
  if (recording === undefined) throw new Error(`nothing was recorded of "${name}"`);
  return recording;
}

/** What one side answered; throws where it did not. */
export function recordedAnswer(name: string, role: "prefill" | "decode"): RecordedAnswer {
  const answer = recorded(name)[role];
  if (answer === undefined || answer === "none") throw new Error(`${role} did not answer "${name}"`);
  return answer;
}

/** What was recorded of the same request, whatever its room and id. */
export function recordingOf(method: string, path: string, body: unknown): Recording | undefined {
  return byRequest.get(keyOf(method, path, body));
}

/** The pieces of a recorded body, in the name of another request. */
export function piecesOf(answer: RecordedAnswer, rid: string): readonly string[] {
  return [answer.body].flat().map((piece) => piece.replaceAll(head.rid, rid));
}
