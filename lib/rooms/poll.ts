/**
 * The states of a room, numbered as SGLang numbers them (base/conn.py, KVPoll). A room's state only goes up, except
 * that Failed wins over everything but Success.
 */
export const KVPoll = {
  Failed: 0,
  Bootstrapping: 1,
  WaitingForInput: 2,
  Transferring: 3,
  Success: 4,
} as const;
export type KVPoll = (typeof KVPoll)[keyof typeof KVPoll];

export function pollName(state: KVPoll): keyof typeof KVPoll {
  const names = ["Failed", "Bootstrapping", "WaitingForInput", "Transferring", "Success"] as const;
  return names[state];
}
