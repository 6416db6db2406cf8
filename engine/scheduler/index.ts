/** Requests, their sequences, and who is computed when. @module */
export { GenerationOutput, type GeneratedToken, type PromptLogprob } from "./output.ts";
export type { BootstrapAddress, FinishReason, GenerationRequest } from "./request.ts";
export { type DisaggregationMode, type Role, type RoleScheduler, wholeRole } from "./role.ts";
export { Scheduler, type SchedulerOptions } from "./scheduler.ts";
export { Sequence, type TransferReport } from "./sequence.ts";
