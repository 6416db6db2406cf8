import { z } from "zod";
import { Device } from "../../ffi/verbs/index.ts";
import { routableGid } from "../verbs/endpoint.ts";
import { LAYERS } from "./pool.ts";

/** Debian's, which has python3-pyverbs and python3-zmq. */
const PYTHON = "/usr/bin/python3";

const sideSchema = z.object({ roomMicroseconds: z.number(), steps: z.record(z.string(), z.number()) });
const resultSchema = z.object({
  roomsPerSecond: z.number(),
  bytesPerSecond: z.number(),
  requests: z.number(),
  prefill: sideSchema,
  decode: sideSchema,
});
export type PyverbsResult = z.infer<typeof resultSchema>;

/** Runs pyverbs_method.py: rooms of consecutive pages, on the first device. */
export async function pyverbsMethod(
  pageBytes: number,
  pages: number,
  rooms: number,
  atOnce: number,
): Promise<PyverbsResult> {
  const { name, index } = routableDevice();
  const words = [name, index, LAYERS, pageBytes, pages, rooms, atOnce].map(String);
  const child = Bun.spawn([PYTHON, `${import.meta.dir}/pyverbs_method.py`, ...words], { stdout: "pipe" });
  const output = await child.stdout.text();
  if ((await child.exited) !== 0) throw new Error(`pyverbs_method.py ended with ${child.exitCode}`);
  return resultSchema.parse(JSON.parse(output));
}

function routableDevice(): { name: string; index: number } {
  using context = Device.find().open();
  return { name: context.device.name, index: routableGid(context).index };
}
