/** The other process of the benchmark: does as it is told, one message at a time. */
import { type Address, Endpoint } from "./endpoint.ts";
import { pingPong, receive } from "./workloads.ts";

export type Order =
  | { readonly order: "connect"; readonly remote: Address }
  | { readonly order: "receive"; readonly size: number; readonly count: number }
  | { readonly order: "echo"; readonly count: number };

const endpoint = new Endpoint();
let remote: Address;

process.on("message", (message: Order) => {
  if (message.order === "connect") {
    remote = message.remote;
    endpoint.connect(remote);
    process.send!("ready");
  } else if (message.order === "receive") {
    receive(endpoint, message.size, message.count, () => process.send!("ready"));
    process.send!("done");
  } else {
    process.send!("ready");
    pingPong(endpoint, remote, message.count, false);
    process.send!("done");
  }
});
process.on("disconnect", () => process.exit(0));
process.send!(endpoint.own);
