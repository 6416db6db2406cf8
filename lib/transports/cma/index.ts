/** Same host, any memory, by process_vm_writev. @module */
export { createCmaTransport } from "./cma-transport.ts";
