import { describeRdma } from "../../../rxe/describe.ts";
import { testFaults } from "../../process/fault-suite.ts";

// An emulated machine takes half a minute to start a few processes.
const choices = { leaseMs: 8_000, rooms: 300, patienceMs: 90_000 };

describeRdma("processes over verbs", () => testFaults("verbs", choices));
