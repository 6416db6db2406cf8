import { Balancer } from "../balancer.ts";
import { drain } from "../drain.ts";
import { loadPolicies } from "../policy/index.ts";
import { serve } from "../server.ts";
import { SharedState } from "../workers/index.ts";
import type { FromThread, ThreadStart, ToThread } from "./messages.ts";

declare const self: Worker;

const tell = (message: FromThread): void => self.postMessage(message);
const collecting = new Map<number, (text: string) => void>();
let nextCollection = 0;
let balancer: Balancer | undefined;

/** One serving thread of several; the main thread relays what concerns all of them. */
async function start({ options, state, epoch, slots, port }: ThreadStart): Promise<void> {
  const parts = { policies: await loadPolicies(options), shared: new SharedState(state, epoch), probes: false };
  const own = new Balancer(options, parts);
  balancer = own;
  own.addConfigured(slots);
  own.control.tell = (change) => tell({ kind: "change", change });
  own.collect = () =>
    new Promise((resolve) => {
      const id = nextCollection++;
      collecting.set(id, resolve);
      tell({ kind: "collect", id });
    });
  const server = serve(own, port, true);
  tell({ kind: "serving", port: server.port });
}

/** Makes this thread one of those that serve: it waits for what the main thread tells it. */
export function serveThread(): void {
  self.addEventListener("message", ({ data }: MessageEvent<ToThread>) => {
    switch (data.kind) {
      case "start":
        start(data).catch((error: unknown) => tell({ kind: "failed", message: String(error) }));
        break;
      case "change":
        balancer?.control.follow(data.change);
        break;
      case "expose":
        void balancer?.ownMetrics().then((text) => tell({ kind: "exposed", id: data.id, text }));
        break;
      case "collected":
        collecting.get(data.id)?.(data.text);
        collecting.delete(data.id);
        break;
      case "drain":
        if (balancer !== undefined) void drain(balancer).then(() => tell({ kind: "drained" }));
        break;
    }
  });
}
