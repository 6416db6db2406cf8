import { now } from "./clock.ts";
import type { ProgressHost } from "./progress/host.ts";
import type { ProgressThread, RehearsalStage } from "./progress/thread.ts";
import { RoomFactory } from "./room-factory.ts";
import type { RoomHandle } from "./room-handle.ts";
import { rehearsalPage } from "./transports/rehearsal-pool.ts";

const ROOMS = 200;
/** What is not done by then is left: a machine that is busy has other things to do. */
const LIMIT_MS = 500;

/**
 * Plays this thread's part of rooms between the progress thread and itself, so that the first real room meets compiled
 * code in both: without it the first takes ten times as long as the others.
 */
export async function rehearse(
  role: "prefill" | "decode",
  thread: ProgressThread,
  stage: RehearsalStage,
): Promise<void> {
  const { layout, registry, port } = stage;
  const rooms = new RoomFactory({ role, layout, table: port.table, host: hostOf(thread, stage) });
  const deadline = now() + LIMIT_MS;
  let late = (): void => undefined;
  const over = new Promise<void>((resolve) => (late = resolve));
  const timer = setTimeout(late, LIMIT_MS);
  for (let room = 1; room <= ROOMS && now() < deadline; room++) {
    const handle = role === "prefill" ? send(rooms, room) : receive(rooms, room, registry);
    await Promise.race([handle.done, over]).catch(late);
    handle.transferMetric();
    handle.clear();
  }
  clearTimeout(timer);
  port.submit({ op: "stop" });
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
function hostOf({ transports, unusable, figures }: ProgressThread, { port }: RehearsalStage): ProgressHost {
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
