/** The other process of the IPC test: opens what it reads from stdin, waits for the event, writes a pattern behind it. */
import { copy, CudaRuntime, openEvent, PeerMemory } from "../../cuda/index.ts";

const device = CudaRuntime.open().device(0);
for await (const line of console) {
  if (line === "") break;
  const { memory, byteLength, offset, event } = JSON.parse(line) as Record<"memory" | "event", string> &
    Record<"byteLength" | "offset", number>;
  using stream = device.createStream();
  using peer = PeerMemory.open(device, { handle: Buffer.from(memory, "hex"), byteLength });
  using zeroed = openEvent(device, Buffer.from(event, "hex"));
  using source = device.allocatePinned(8192);
  const bytes = new Uint8Array(source.buffer);
  for (let i = 0; i < bytes.length; i++) bytes[i] = i * 13;
  stream.waitFor(zeroed);
  copy(stream, peer.slice(offset, 8192), source);
  stream.synchronize();
  console.log("written");
}
device.close();
