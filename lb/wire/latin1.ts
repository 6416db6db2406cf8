/** What Bun's buffers have besides what their types say: `write` without a look at the encoding first. */
interface Latin1Buffer {
  latin1Write(text: string, offset: number): number;
}

/** Writes a text of characters below 256, a byte each; gives how many were written. */
export const writeLatin1 = (target: Buffer, text: string, offset: number): number =>
  (target as unknown as Latin1Buffer).latin1Write(text, offset);
