import { readdirSync, readFileSync, readlinkSync } from "node:fs";

const ESTABLISHED = "01";
const CLOSE_WAIT = "08";

/** What a process holds of the system, from /proc (proc(5)). */
export interface Resources {
  readonly descriptors: number;
  /** TCP connections that it has not closed. */
  readonly connections: number;
}

export function resourcesOf(pid: number): Resources {
  const targets = readdirSync(`/proc/${pid}/fd`).map((fd) => readLink(`/proc/${pid}/fd/${fd}`));
  const sockets = new Set(targets.map((target) => /^socket:\[(\d+)\]$/.exec(target)?.[1]));
  const connections = [...openInodes("tcp"), ...openInodes("tcp6")].filter((inode) => sockets.has(inode)).length;
  return { descriptors: targets.length, connections };
}

function openInodes(table: "tcp" | "tcp6"): string[] {
  const rows = readFileSync(`/proc/net/${table}`, "utf8").trim().split("\n").slice(1);
  const cells = rows.map((row) => row.trim().split(/\s+/));
  return cells.filter(([, , , state]) => state === ESTABLISHED || state === CLOSE_WAIT).map((row) => row[9]!);
}

/** A descriptor may be closed between the listing and the look. */
function readLink(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return "";
  }
}
