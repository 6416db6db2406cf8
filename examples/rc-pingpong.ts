/**
 * ibv_rc_pingpong in TypeScript: messages to and fro over a reliable connection. Either end may be the C program.
 * @module
 */
import { connect, SendList } from "../ffi/verbs/index.ts";
import { Endpoint, SEND_ID } from "./pingpong/endpoint.ts";
import { meet, randomPacketSequence, run, runTool } from "./pingpong/exchange.ts";
import { integer, pingPongCommand, pingPongOptions } from "./pingpong/options.ts";

const command = pingPongCommand("rc-pingpong", "messages to and fro over a reliable connection", 4096)
  .option("-m, --mtu <bytes>", "path MTU: 256, 512, 1024, 2048 or 4096", integer(256, 4096), 1024)
  .option("-o, --odp", "use on-demand paging", false)
  .parse();
const { mtu, odp } = command.opts<{ mtu: number; odp: boolean }>();
const options = pingPongOptions(command);

await runTool(async () => {
  using endpoint = new Endpoint({ ...options, type: "RC", headerBytes: 0, onDemandPaging: odp });
  const { queuePair, payload } = endpoint;
  queuePair.modify({ state: "INIT", partitionKeyIndex: 0, port: options.devicePort, access: 0 });
  endpoint.postReceives(options.receiveDepth);
  if (endpoint.channel) endpoint.completions.requestNotification();
  const own = endpoint.address(randomPacketSequence());
  await meet(options, own, (remote) => {
    const { port, serviceLevel, gid, sourceGidIndex } = endpoint.route(remote, 1);
    connect(queuePair, {
      remote: { ...remote, gid },
      packetSequence: own.packetSequence,
      port,
      pathMtu: mtu,
      hopLimit: 1,
      serviceLevel: serviceLevel ?? 0,
      sourceGidIndex: sourceGidIndex ?? 0,
    });
  });
  const message = new SendList({ requests: 1 }).entry(payload.address, options.size, endpoint.region.lkey);
  message.send(SEND_ID, endpoint.sendFlags);
  return run(endpoint, options, () => queuePair.postSend(message));
});
