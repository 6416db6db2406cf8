import { describe } from "bun:test";
import { testFaults } from "./fault-suite.ts";

describe.each(["shm", "cma", "tcp"])("over %s", (transport) => testFaults(transport, { leaseMs: 500, rooms: 500 }));
