import { VerbsUserError } from "./errors.ts";
import type { AttributeName, QueuePairAttributes, QueuePairStateName } from "./queue-pair-attributes.ts";
import { namesIn } from "./queue-pair-attributes.ts";

export type QueuePairTypeName = "RC" | "UC" | "UD";

interface Transition {
  readonly required: readonly AttributeName[];
  readonly optional: readonly AttributeName[];
}

type Transitions = Readonly<Record<string, Transition>>;

const none: readonly AttributeName[] = [];

function transition(required: readonly AttributeName[], optional: readonly AttributeName[] = none): Transition {
  return { required, optional };
}

const init: AttributeName[] = ["partitionKeyIndex", "port", "access"];
const datagramInit: AttributeName[] = ["partitionKeyIndex", "port", "queueKey"];
const path: AttributeName[] = ["address", "pathMtu", "remoteQueuePair", "receivePacketSequence"];
const running: AttributeName[] = ["currentState", "access", "alternatePath", "pathMigration"];
const reliableRunning: AttributeName[] = [...running, "minReceiverNotReadyTimer", "rateLimit"];
const datagramRunning: AttributeName[] = ["currentState", "queueKey", "rateLimit"];

/** InfiniBand Architecture Specification volume 1, 10.3 and 11.2.4.2: what each transition must and may change. */
const tables: Readonly<Record<QueuePairTypeName, Transitions>> = {
  RC: {
    "RESET→INIT": transition(init),
    "INIT→INIT": transition(none, init),
    "INIT→RTR": transition(
      [...path, "maxDestinationReadAtomic", "minReceiverNotReadyTimer"],
      ["partitionKeyIndex", "access", "alternatePath"],
    ),
    "RTR→RTS": transition(
      ["timeout", "retryCount", "receiverNotReadyRetry", "sendPacketSequence", "maxReadAtomic"],
      reliableRunning,
    ),
    "RTS→RTS": transition(none, reliableRunning),
    "RTS→SQD": transition(none, ["announceDrained"]),
    "SQD→RTS": transition(none, reliableRunning),
    "SQD→SQD": transition(none, [
      "port",
      "address",
      "timeout",
      "retryCount",
      "receiverNotReadyRetry",
      "maxReadAtomic",
      "maxDestinationReadAtomic",
      "access",
      "partitionKeyIndex",
      "minReceiverNotReadyTimer",
      "alternatePath",
      "pathMigration",
    ]),
  },
  UC: {
    "RESET→INIT": transition(init),
    "INIT→INIT": transition(none, init),
    "INIT→RTR": transition(path, ["partitionKeyIndex", "access", "alternatePath"]),
    "RTR→RTS": transition(["sendPacketSequence"], running),
    "RTS→RTS": transition(none, running),
    "RTS→SQD": transition(none, ["announceDrained"]),
    "SQD→RTS": transition(none, running),
    "SQD→SQD": transition(none, ["address", "access", "partitionKeyIndex", "alternatePath", "pathMigration"]),
    "SQE→RTS": transition(none, ["currentState", "access"]),
  },
  UD: {
    "RESET→INIT": transition(datagramInit),
    "INIT→INIT": transition(none, datagramInit),
    "INIT→RTR": transition(none, ["partitionKeyIndex", "queueKey"]),
    "RTR→RTS": transition(["sendPacketSequence"], datagramRunning),
    "RTS→RTS": transition(none, datagramRunning),
    "RTS→SQD": transition(none, ["announceDrained"]),
    "SQD→RTS": transition(none, datagramRunning),
    "SQD→SQD": transition(none, ["partitionKeyIndex", "queueKey"]),
    "SQE→RTS": transition(none, datagramRunning),
  },
};

/** RESET and ERR can be entered from everywhere, with nothing else changed. */
const always = transition(none);

function transitionOf(type: QueuePairTypeName, from: QueuePairStateName, to: QueuePairStateName) {
  return to === "RESET" || to === "ERR" ? always : tables[type][`${from}→${to}`];
}

/**
 * Checks a change before the kernel answers it with a bare EINVAL.
 * @returns the state that the queue pair will be in.
 * @throws {VerbsUserError} "ILLEGAL_TRANSITION", naming every missing and every extra attribute, or the states that
 * can be reached.
 */
export function requireTransition(
  type: QueuePairTypeName,
  current: QueuePairStateName,
  change: Partial<QueuePairAttributes>,
): QueuePairStateName {
  const from = change.currentState ?? current;
  const to = change.state ?? from;
  const step = `${type} queue pair ${from} → ${to}`;
  const allowed = transitionOf(type, from, to);
  if (!allowed) {
    const reachable = Object.keys(tables[type]).filter((key) => key.startsWith(`${from}→`));
    const states = [...reachable.map((key) => key.slice(from.length + 1)), "RESET", "ERR"];
    throw new VerbsUserError(
      "ILLEGAL_TRANSITION",
      `${step} is not possible; from ${from} it can go to ${states.join(", ")}`,
    );
  }
  const given = new Set(namesIn(change));
  given.delete("state");
  const missing = allowed.required.filter((name) => !given.has(name));
  const extra = [...given].filter((name) => !allowed.required.includes(name) && !allowed.optional.includes(name));
  if (missing.length === 0 && extra.length === 0) return to;
  const parts = [
    ...(missing.length > 0 ? [`missing ${missing.join(", ")}`] : []),
    ...(extra.length > 0 ? [`not allowed here ${extra.join(", ")}`] : []),
  ];
  throw new VerbsUserError("ILLEGAL_TRANSITION", `${step}: ${parts.join("; ")}`);
}
