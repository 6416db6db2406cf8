/** How a half of a disaggregated pair finds and reaches the other. */
export interface DisaggregationOptions {
  /** Prefill: where its registry listens. Decode: the port of registries whose requests do not name one. */
  readonly bootstrapHost: string;
  readonly bootstrapPort: number;
  /** `auto`, a transport's name, or several with commas between. */
  readonly transferBackend: string;
  /** The address that the other half is told to reach this one at; found out by default. */
  readonly advertiseHost?: string | undefined;
  /** RDMA devices to use, with commas between; chosen by default. */
  readonly ibDevice?: string | undefined;
  /** More options of transports, by their names. */
  readonly transferOptions?: Readonly<Record<string, Readonly<Record<string, unknown>>>> | undefined;
  /** Silence after which the other half is dead, in milliseconds. */
  readonly leaseMs?: number | undefined;
}
