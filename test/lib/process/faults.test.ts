import { describe, setDefaultTimeout } from "bun:test";
import { testFaults } from "./fault-suite.ts";

// What is killed and stopped here takes seconds on a machine that has other things to do.
setDefaultTimeout(60_000);

const choices = { leaseMs: 500, rooms: 500, patienceMs: 20_000 };

describe.each(["shm", "cma", "tcp"])("over %s", (transport) => testFaults(transport, choices));
