import type { CommandPort } from "./progress/command-port.ts";
import type { ProgressHost } from "./progress/host.ts";
import type { ProgressThread } from "./progress/thread.ts";
import { RoomFactory } from "./room-factory.ts";
import type { RoomHandle } from "./room-handle.ts";
import { rehearsalPage } from "./transports/rehearsal-pool.ts";

/** Of each rehearsal. */
const ROOMS = 150;
/** What is not done by then is left: a machine that is busy has other things to do. */
const LIMIT_MS = 500;

/**
 * Plays this thread's part of rooms between the progress thread and itself, so that the first real room meets compiled
 * code in both: without it the first takes ten times as long as the others.
 */
export async function rehearse(role: "prefill" | "decode", thread: ProgressThread): Promise<void> {
  const over = new AbortController();
  const aborted = new Promise<void>((resolve) => over.signal.addEventListener("abort", () => resolve()));
  const timer = setTimeout(() => over.abort(), LIMIT_MS);
  thread.hold();
  for (const { layout, registry, port } of thread.rehearsals) {
    const rooms = new RoomFactory({ role, layout, table: port.table, host: hostOf(thread, port) });
    for (let room = 1; room <= ROOMS && !over.signal.aborted; room++) {
      const handle = role === "prefill" ? send(rooms, room) : receive(rooms, room, registry);
      await Promise.race([handle.done, aborted]).catch(() => over.abort());
      handle.transferMetric();
      handle.clear();
    }
    port.submit({ op: "stop" });
  }
  thread.unhold();
  clearTimeout(timer);
}

function send(rooms: RoomFactory, room: number): RoomHandle {
  const sender = rooms.createSender({ room });
  sender.init(1, rehearsalPage(room));
  sender.send([rehearsalPage(room)]);
  return sender;
}

function receive(rooms: RoomFactory, room: number, bootstrapAddr: string): RoomHandle {
  const receiver = rooms.createReceiver({ room, bootstrapAddr });
  receiver.init([rehearsalPage(room)], rehearsalPage(room));
  return receiver;
}

/** The thread is held by whoever rehearses. */
function hostOf({ transports, unusable, figures }: ProgressThread, port: CommandPort): ProgressHost {
  return {
    submit: (command) => port.submit(command),
    hold: () => undefined,
    unhold: () => undefined,
    close: () => Promise.resolve({ unfenced: 0 }),
    transports,
    unusable,
    figures,
  };
}
