let time = performance.now();

/** Reads the clock. Called where something comes in from outside: a read, a closed connection, a timer. */
export function tick(): number {
  time = performance.now();
  return time;
}

/** `performance.now()` as it was at the latest tick: what is done about one event all happens at one time. */
export const now = (): number => time;
