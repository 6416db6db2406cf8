/** The size of the pool of both peers in the tests with two processes. */
export const POOL_BYTES = 16 * 1024 * 1024;
