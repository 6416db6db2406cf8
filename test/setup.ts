import { setDefaultTimeout } from "bun:test";

// Tests end by their own conditions; the limit only ends one that hangs, also on a machine that has other things to do.
setDefaultTimeout(60_000);
