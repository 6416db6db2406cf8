/** What the registry's thread is started with. */
export interface RegistryStart {
  readonly host: string;
  readonly port: number;
  readonly leaseMs: number;
  readonly maxMembers: number;
  readonly token: string | undefined;
  readonly serverSecretKey: string | undefined;
  readonly promptThreads: boolean;
  readonly wakeFd: number;
  readonly control: SharedArrayBuffer;
}

export const RegistryControl = { stop: 0, stopped: 1, members: 2, words: 8 } as const;

export type RegistryReport =
  | { readonly report: "listening"; readonly port: number }
  | { readonly report: "refused"; readonly message: string; readonly status: string };
