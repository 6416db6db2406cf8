/** The in-process transport and the simulated world that tests run it in. @module */
export { SimulatedMemory } from "./memory.ts";
export { SimulatedProcess } from "./process.ts";
export { Simulation } from "./simulation.ts";
export { LoopbackWorld, type WorldManager, type WorldManagerOptions, type WorldOptions } from "./world.ts";
