import { describeRdma } from "../../../rxe/describe.ts";
import { testFaults } from "../../process/fault-suite.ts";

describeRdma("processes over verbs", () => testFaults("verbs", { leaseMs: 1_000, rooms: 200 }));
