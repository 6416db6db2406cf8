/** A lane that the receiver offers: its end of it. */
export interface RemoteLane {
  readonly id: number;
  readonly place: number;
  readonly queuePair: number;
  readonly packetSequence: number;
}
