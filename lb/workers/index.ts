export { Admission, type AdmissionOptions, type Shed } from "./admission.ts";
export { ask, askAll, jsonOf, type Question, type Reply } from "./ask.ts";
export { FleetControl, type FleetChange } from "./control.ts";
export { Breaker, type BreakerOptions, type BreakerState } from "./breaker.ts";
export { Health } from "./health.ts";
export { SharedState } from "./shared-state.ts";
export { Worker, type Role, type WorkerOptions, type WorkerSpec } from "./worker.ts";
export { Fleet } from "./fleet.ts";
export { HealthChecker, type HealthCheckOptions } from "./health-checker.ts";
