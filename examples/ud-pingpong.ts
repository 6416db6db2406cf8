/**
 * ibv_ud_pingpong in TypeScript: datagrams to and fro. Either end may be the C program.
 * @module
 */
import { openDatagrams, SendList } from "../ffi/verbs/index.ts";
import { Endpoint, SEND_ID } from "./pingpong/endpoint.ts";
import { meet, randomPacketSequence, run, runTool } from "./pingpong/exchange.ts";
import { pingPongCommand, pingPongOptions } from "./pingpong/options.ts";

const QUEUE_KEY = 0x1111_1111;
/** The global route header that stands in front of every received datagram. */
const HEADER_BYTES = 40;

const options = pingPongOptions(pingPongCommand("ud-pingpong", "datagrams to and fro", 1024).parse());

await runTool(async () => {
  using endpoint = new Endpoint({ ...options, type: "UD", headerBytes: HEADER_BYTES, onDemandPaging: false });
  const { queuePair, payload } = endpoint;
  const { activeMtu } = endpoint.context.port(options.devicePort).query();
  if (options.size > activeMtu) throw new Error(`a datagram fits the port's MTU: at most ${activeMtu} bytes`);
  const own = endpoint.address(randomPacketSequence());
  openDatagrams(queuePair, { queueKey: QUEUE_KEY, port: options.devicePort, packetSequence: own.packetSequence });
  endpoint.postReceives(options.receiveDepth);
  if (endpoint.channel) endpoint.completions.requestNotification();
  const message = new SendList({ requests: 1 }).entry(payload.address, options.size, endpoint.region.lkey);
  await meet(options, own, (remote) => {
    const address = endpoint.domain.createAddressHandle(endpoint.route(remote, 64));
    message.sendTo(SEND_ID, { address, queuePair: remote.queuePair, queueKey: QUEUE_KEY }, endpoint.sendFlags);
  });
  return run(endpoint, options, () => queuePair.postSend(message));
});
