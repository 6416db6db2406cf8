/** Pages on a GPU over transports that follow addresses on the processor: by way of pinned host memory. @module */
export { openStaged } from "./open-staged.ts";
