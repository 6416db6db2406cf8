import { constants } from "node:os";
import { AsyncEventType, lastErrno, nameOf, StructBuffer, structs, verbs } from "./abi/index.ts";
import type { Context } from "./context.ts";
import { VerbsError } from "./errors.ts";
import { type Resource, resourceAt } from "./resource.ts";

/** Something that happened to a device, a port or an object. See ibv_get_async_event(3). */
export interface AsyncEvent {
  readonly type: keyof typeof AsyncEventType | (string & {});
  /** The queue pair, completion queue or shared receive queue, while its wrapper lives. */
  readonly source?: Resource | undefined;
  readonly port?: number;
}

const portEvents = new Set([
  "PORT_ACTIVE",
  "PORT_ERR",
  "LID_CHANGE",
  "PKEY_CHANGE",
  "SM_CHANGE",
  "CLIENT_REREGISTER",
  "GID_CHANGE",
]);

/**
 * Acknowledges at once: destroying an object waits for its acknowledgements, so an event that is held back
 * would turn close() into a deadlock.
 */
export function takeAsyncEvent(context: Context): AsyncEvent | undefined {
  const { ibv_get_async_event, ibv_ack_async_event } = verbs().symbols;
  const event = new StructBuffer(structs.asyncEvent);
  if (ibv_get_async_event(context.unsafeAddress, event.address) !== 0) {
    const errno = lastErrno();
    if (errno === constants.errno.EAGAIN) return undefined;
    throw new VerbsError("ibv_get_async_event", errno);
  }
  const type = nameOf(AsyncEventType, event.get("event_type"));
  const port = event.get("element.port_num");
  const source = resourceAt(event.get("element.qp"));
  ibv_ack_async_event(event.address);
  if (portEvents.has(type)) return { type, port };
  return type === "DEVICE_FATAL" ? { type } : { type, source };
}
