import { piecesOf, recordedAnswer, recordingOf } from "../recordings/recordings.ts";
import type { RecordedAnswer } from "../recordings/recording.ts";
import type { MockConnection } from "./mock-connection.ts";

type Body = Readonly<Record<string, unknown>>;
export type RoleName = "prefill" | "decode";

/** What the real server of this role answered to the same request; undefined where nothing was recorded. */
export function answerTo(role: RoleName, method: string, path: string, body: unknown): RecordedAnswer | undefined {
  const answer = recordingOf(method, path, body)?.[role];
  return answer === "none" ? undefined : answer;
}

/** An answer that the server gives without its other half: an error, or a stream whose first event is one. */
export function refuses({ status, body }: RecordedAnswer): boolean {
  return status >= 400 || /^data: .*("error"|"type":"abort")/.test([body].flat()[0] ?? "");
}

/** How the real server of this role ends a request that was aborted while it waited. */
export function abortedAnswer(role: RoleName, path: string, body: Body): RecordedAnswer {
  const streamed = body["stream"] === true ? ", streamed" : "";
  return recordedAnswer(path === "/generate" || streamed !== "" ? `aborted${streamed}` : "aborted chat", role);
}

/** How it refuses a request that names no room. */
export function roomlessAnswer(role: RoleName, path: string, body: Body): RecordedAnswer {
  return recordedAnswer(
    `no room${path === "/generate" ? "" : ", chat"}${body["stream"] === true ? ", streamed" : ""}`,
    role,
  );
}

/** Sends a recorded answer in the name of this request, a stream's pieces `gap` ms apart. */
export function replay(connection: MockConnection, answer: RecordedAnswer, rid = "", gap = 0): void {
  const pieces = piecesOf(answer, rid);
  if (typeof answer.body === "string") {
    connection.reply(answer.status, pieces.join(""), answer.headers);
    return;
  }
  connection.streamHead(answer.status);
  const next = (at: number): void => {
    if (at === pieces.length) return connection.streamEnd();
    connection.chunk(pieces[at]!);
    if (gap > 0) setTimeout(() => next(at + 1), gap);
    else next(at + 1);
  };
  next(0);
}
