import { closeDescriptor } from "../../../ffi/libc/index.ts";
import type { PairErrors } from "../pairs/index.ts";
import type { Place } from "./exposed-memory.ts";
import { FrameType, type Region, welcomeSchema } from "./frames.ts";
import type { GrantedRegion } from "./page-writer.ts";
import type { PairSocket } from "./pair-socket.ts";

/** So many regions fit into a packet with their descriptors. */
const REGIONS_PER_PACKET = 120;

/** Tells the sender where it may write, handing over each memfd once a packet. */
export function sendWelcome(socket: PairSocket, nonce: string, places: readonly Place[]): void {
  for (let from = 0; from < places.length; from += REGIONS_PER_PACKET) {
    const part = places.slice(from, from + REGIONS_PER_PACKET);
    const descriptors: number[] = [];
    const regions = part.map((place): Region => {
      const { share, ...region } = place;
      if (!share) return region;
      let descriptor = descriptors.indexOf(share.fd);
      if (descriptor === -1) descriptor = descriptors.push(share.fd) - 1;
      return { ...region, share: { descriptor, offset: share.offset } };
    });
    const more = from + REGIONS_PER_PACKET < places.length;
    socket.sendMessage(FrameType.WELCOME, { nonce, regions, more }, descriptors);
  }
}

/** Collects the packets of a welcome and owns the descriptors in them. */
export class ReceivedWelcome {
  readonly #regions: GrantedRegion[] = [];
  readonly #descriptors: number[] = [];
  #complete = false;

  get complete(): boolean {
    return this.#complete;
  }

  get regions(): readonly GrantedRegion[] {
    return this.#regions;
  }

  /** Throws a PROTOCOL error where the packet is not a welcome for `nonce`. */
  add(value: unknown, descriptors: readonly number[], nonce: string, errors: PairErrors): void {
    this.#descriptors.push(...descriptors);
    const welcome = errors.parse(welcomeSchema, value, "connect");
    if (welcome.nonce !== nonce) throw errors.protocol("connect", "another process answered");
    for (const region of welcome.regions) {
      const fd = region.share && descriptors[region.share.descriptor];
      if (region.share && fd === undefined) {
        throw errors.protocol(
          "connect",
          `expected descriptor ${region.share.descriptor}, but ${descriptors.length} came`,
        );
      }
      this.#regions.push(fd === undefined ? region : { ...region, fd });
    }
    this.#complete = !welcome.more;
  }

  /** Closes the descriptors; whoever mapped them keeps duplicates. */
  close(): void {
    for (const fd of this.#descriptors.splice(0)) closeDescriptor(fd);
  }
}
