/** One KV cache from a prefill rank to a decode rank. Here both are in one process; nothing changes when they are not. */
import { type KVArgs, KVManager } from "kvwire";
import { Mapping } from "kvwire/ffi";

const [layers, pages, pageBytes] = [4, 32, 16 * 1024];

/** A rank's pool, in memory that peers can map: one latent (MLA) buffer a layer, then 32 aux slots of 64 bytes. */
function makePool(): { memory: Mapping; args: KVArgs } {
  const length = pages * pageBytes;
  const memory = Mapping.allocate(layers * length + 32 * 64, { shared: true });
  const buffers = Array.from({ length: layers }, (_, layer) => memory.address + layer * length);
  const kv = { kvDataPtrs: buffers, kvDataLens: buffers.map(() => length), kvItemLens: buffers.map(() => pageBytes) };
  const aux = { auxDataPtrs: [memory.address + layers * length], auxDataLens: [32 * 64], auxItemLens: [64] };
  return { memory, args: { ...kv, ...aux, pageSize: 16, attention: "mla", kvCacheDtype: "bfloat16" } };
}

const source = makePool();
const target = makePool();
const bootstrap = { host: "127.0.0.1", port: 0, serve: true };
await using prefill = await KVManager.create({ role: "prefill", args: source.args, bootstrap });
await using decode = await KVManager.create({ role: "decode", args: target.args });

// Decode lends pages and an aux slot to the request, which both sides know by its room.
using receiver = decode.createReceiver({ room: 7, bootstrapAddr: prefill.bootstrapServer!.address });
receiver.init([30, 2, 11], 0);

// Prefill sends its pages as the prompt is computed; the aux slot goes behind the last of them.
using sender = prefill.createSender({ room: 7 });
sender.init(3, 5);
source.memory.bytes.fill(1, 4 * pageBytes, 6 * pageBytes);
sender.send([4, 5]);
source.memory.bytes.fill(2, 9 * pageBytes, 10 * pageBytes);
sender.send([9]);

await Promise.all([sender.done, receiver.done]);
console.log([30, 2, 11].map((page) => target.memory.bytes[page * pageBytes]));
console.log(sender.transferMetric());
