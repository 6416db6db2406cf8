/** A small inference engine on kvwire. @module */
export { Engine, type GenerationInput } from "./engine.ts";
export { CheckpointError, OptionError, PoolExhaustedError, RequestError } from "./errors.ts";
export { launch, type RunningServer } from "./launch.ts";
export { type EngineOptions } from "./options.ts";
export type { ModelStep, TokenSpan } from "./step.ts";
