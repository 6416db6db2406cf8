import type { z } from "zod";
import type { Balancer } from "../balancer.ts";
import { errorResponse } from "../relay/index.ts";
import { ask, jsonOf, type Reply } from "../workers/index.ts";
import type { roleSwitchSchema } from "./worker-schemas.ts";

const RETRY_EVERY = 1000;
const TIMEOUT = 300_000;

/**
 * Turns a prefill server into a decode server or back, as mini_lb does: no new requests, then the engine is asked until it is
 * idle enough to agree, then it serves in its new role. After a refusal it goes back only if it says that nothing changed.
 */
export async function switchRole(
  balancer: Balancer,
  order: z.output<typeof roleSwitchSchema>,
  authorization: string | undefined,
): Promise<Response> {
  const { worker_url: url, new_role: role, bootstrap_port: port, drain, drain_timeout_secs: patience, ...rest } = order;
  const worker = balancer.fleet.find(new URL(url).origin);
  if (worker === undefined) return errorResponse(404, "no_such_worker", `${url} is not a worker`);
  if (drain) worker.draining = true;
  const deadline = performance.now() + patience * 1000;
  const question = {
    method: "POST" as const,
    path: "/pd_role_switch",
    body: JSON.stringify({ new_role: role, ...rest }),
    authorization,
    timeout: TIMEOUT,
  };
  for (;;) {
    const reply = await ask(worker, question);
    const result = jsonOf({ ...reply, status: 200 }) ?? {};
    if (reply.status === 200 && result["success"] === true) break;
    const busy = String(result["message"] ?? "")
      .toLowerCase()
      .includes("not idle");
    if (!drain || !busy || performance.now() >= deadline) {
      if (result["safe_to_restore"] === true) worker.draining = false;
      return passed(reply);
    }
    await Bun.sleep(RETRY_EVERY);
  }
  balancer.control.remove(worker);
  const { apiKey, cost } = worker;
  balancer.control.add({
    url: worker.url.href,
    role,
    cost,
    ...(apiKey === undefined ? {} : { apiKey }),
    ...(role === "prefill" ? { bootstrapPort: port ?? worker.bootstrap.port } : {}),
  });
  return Response.json({ success: true, url: worker.name, role });
}

function passed(reply: Reply): Response {
  return new Response(reply.body, { status: reply.status, headers: { "content-type": reply.contentType } });
}
