import type { Balancer } from "./balancer.ts";

const LOOK_EVERY = 50;

/** Says that no more should come, and waits until what runs has ended, at most the grace period. */
export async function drain(balancer: Balancer): Promise<void> {
  balancer.draining = true;
  const deadline = performance.now() + balancer.options.shutdownGracePeriodSecs * 1000;
  while ((balancer.live.size > 0 || balancer.admission.waiting > 0) && performance.now() < deadline) {
    await Bun.sleep(LOOK_EVERY);
  }
}
