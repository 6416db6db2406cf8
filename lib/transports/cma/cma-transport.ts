import { z } from "zod";
import { allowTracer, ANY_PROCESS } from "../../../ffi/libc/index.ts";
import { HostMemory, HostTransport } from "../host/index.ts";
import type { TransportFactory } from "../transport.ts";
import { ProcessWriter } from "./process-writer.ts";

const optionsSchema = z.strictObject({
  /**
   * Whom the receiver lets write where yama restricts it (kernel.yama.ptrace_scope 1). A process can name only one:
   * `peer` names the sender that came last, `any` every process of the same user, `none` nobody. Default: the peer while
   * there is one, any once there are several.
   */
  allow: z.enum(["auto", "peer", "any", "none"]).default("auto"),
});

/** process_vm_writev between processes of one host that may trace each other: one copy, into any memory. */
export const createCmaTransport: TransportFactory = (context) => {
  const { allow } = optionsSchema.parse(context.options);
  const senders = new Set<number>();
  return new HostTransport(context, {
    name: "cma",
    writers: {
      open(receiverPid, regions) {
        if (receiverPid === 0) throw new Error("the receiver is in a process namespace that is not seen from here");
        return new ProcessWriter(receiverPid, regions);
      },
    },
    memory: new HostMemory(context.buffers, {
      share: false,
      allow(pid) {
        if (allow === "none" || pid === 0) return;
        senders.add(pid);
        allowTracer(allow === "any" || (allow === "auto" && senders.size > 1) ? ANY_PROCESS : pid);
      },
    }),
  });
};
