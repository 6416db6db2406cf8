/** What transports do on GPUs: runs of pages, copied by a kernel or by the copy engines. @module */
export { type CopySide, Gpus } from "./gpus.ts";
export { RunCopier, type RunCopierOptions, RunSlot } from "./run-copier.ts";
export { foldRows, type RowPattern, RunTable, TABLE_BUFFERS, TABLE_RUNS } from "./run-table.ts";
