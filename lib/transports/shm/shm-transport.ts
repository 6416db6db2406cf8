import { z } from "zod";
import { HostMemory, HostTransport } from "../host/index.ts";
import type { TransportFactory } from "../transport.ts";
import { MappedWriter } from "./mapped-writer.ts";

const optionsSchema = z.strictObject({});

/** Plain copies into the receiver's memfd, mapped by the sender: processes of one host, pools of the library's allocator. */
export const createShmTransport: TransportFactory = (context) => {
  optionsSchema.parse(context.options);
  const unshared = context.role === "decode" ? context.buffers.findIndex((buffer) => !buffer.share) : -1;
  if (unshared >= 0) {
    return {
      unusable: `buffer ${unshared} of ${context.buffers.length} is not shared memory of the library's allocator`,
    };
  }
  return new HostTransport(context, {
    name: "shm",
    writers: { open: (_pid, regions) => MappedWriter.open(regions) },
    memory: new HostMemory(context.buffers, { share: true }),
  });
};
