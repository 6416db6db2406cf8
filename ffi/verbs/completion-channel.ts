import { constants } from "node:os";
import { setNonBlocking } from "../libc/index.ts";
import { type Address, NativeBuffer } from "../runtime/index.ts";
import { lastErrno, structs, unsafeReadField, verbs } from "./abi/index.ts";
import type { CompletionQueue } from "./completion-queue.ts";
import type { Context } from "./context.ts";
import { checked, created, VerbsError } from "./errors.ts";
import { Resource, resourceAt } from "./resource.ts";
import { waitReadable } from "./wait-readable.ts";

/** Where completion queues announce that something arrived. Its descriptor can be watched by poll, epoll or zmq_poll. */
export class CompletionChannel extends Resource {
  readonly context: Context;
  /** Readable while an event waits; nonblocking. */
  readonly fd: number;
  /** Where the library writes the queue and its context. */
  readonly #event = NativeBuffer.allocate(16);

  private constructor(address: Address, context: Context) {
    const { ibv_destroy_comp_channel } = verbs().symbols;
    super({
      kind: "completion channel",
      address,
      parents: [context],
      destroy: () => checked("ibv_destroy_comp_channel", ibv_destroy_comp_channel(address)),
    });
    this.context = context;
    this.fd = unsafeReadField(address, structs.completionChannel, "fd");
    setNonBlocking(this.fd);
  }

  static create(context: Context): CompletionChannel {
    const { ibv_create_comp_channel } = verbs().symbols;
    const address = created("ibv_create_comp_channel", ibv_create_comp_channel(context.unsafeAddress));
    return new CompletionChannel(address, context);
  }

  /**
   * The queue that the next event is about, or undefined when no event waits. The queue counts it as unacknowledged;
   * `queue.acknowledge()` settles any number at once, and closing the queue settles the rest.
   */
  takeEvent(): CompletionQueue | undefined {
    const { ibv_get_cq_event, ibv_ack_cq_events } = verbs().symbols;
    const { address } = this.#event;
    if (ibv_get_cq_event(this.unsafeAddress, address, address + 8) !== 0) {
      const errno = lastErrno();
      if (errno === constants.errno.EAGAIN) return undefined;
      throw new VerbsError("ibv_get_cq_event", errno);
    }
    const queue = this.#event.getAddress(0);
    const wrapper = resourceAt(queue) as CompletionQueue | undefined;
    if (wrapper) {
      wrapper.unsafeCountEvent();
      return wrapper;
    }
    // A queue that was forgotten, not closed: nobody else will settle it.
    ibv_ack_cq_events(queue, 1);
    return undefined;
  }

  /** Blocks this thread until an event waits or the time is over; true when one does. */
  wait(timeoutMs: number): boolean {
    this.requireOpen();
    return waitReadable(this.fd, timeoutMs);
  }
}
