import { KVUserError } from "./errors.ts";

/**
 * What travels beside a request's pages: one buffer a field, one slot a request, as SGLang's MetadataBuffers has it
 * (disaggregation/utils.py). Each field's slot is padded to 64 bytes.
 */
const FIELDS = {
  outputIds: { type: "i32", count: 16 },
  /** In all, then on the device, on the host, in storage. */
  cachedTokens: { type: "i32", count: 16 },
  outputTokenLogprobs: { type: "f32", count: 16 },
  outputTokenLogprobIds: { type: "i32", count: 16 },
  outputTopLogprobs: { type: "f32", count: 128 },
  outputTopLogprobIds: { type: "i32", count: 128 },
  /** Of these 8 the first is the room, by which decode knows that the slot is its request's. */
  bootstrapRoom: { type: "f64", count: 8 },
} as const;
type Field = keyof typeof FIELDS;

const BYTES = { i32: 4, f32: 4, f64: 8 } as const;
const VIEWS = { i32: Int32Array, f32: Float32Array, f64: Float64Array } as const;
const ALIGNMENT = 64;

const fieldNames = Object.keys(FIELDS) as Field[];
const itemBytes = (field: Field): number =>
  Math.ceil((FIELDS[field].count * BYTES[FIELDS[field].type]) / ALIGNMENT) * ALIGNMENT;

/** What prefill hands to decode with the pages. */
export interface AuxRecord {
  readonly room: number;
  readonly outputIds: readonly number[];
  readonly cachedTokens?: readonly number[];
  readonly outputTokenLogprobs?: readonly number[];
  readonly outputTokenLogprobIds?: readonly number[];
  readonly outputTopLogprobs?: readonly number[];
  readonly outputTopLogprobIds?: readonly number[];
}

/** Memory for the slots: from the library's allocator, so that peers can reach it. */
export interface AuxMemory {
  readonly address: number;
  readonly buffer: ArrayBuffer;
}

/** A table of aux slots over native memory: filled by prefill before the last `send`, read by decode after Success. */
export class AuxSlots {
  readonly slots: number;
  readonly #memory: AuxMemory;
  readonly #offsets: Readonly<Record<Field, number>>;

  constructor(memory: AuxMemory, slots: number) {
    const needed = AuxSlots.byteLength(slots);
    if (memory.buffer.byteLength < needed) {
      throw new KVUserError(
        "BAD_ARGUMENT",
        `${slots} aux slots need ${needed} bytes, but the memory has ${memory.buffer.byteLength}`,
      );
    }
    this.slots = slots;
    this.#memory = memory;
    let offset = 0;
    const offsets: Partial<Record<Field, number>> = {};
    for (const field of fieldNames) {
      offsets[field] = offset;
      offset += itemBytes(field) * slots;
    }
    this.#offsets = offsets as Record<Field, number>;
  }

  static byteLength(slots: number): number {
    return fieldNames.reduce((bytes, field) => bytes + itemBytes(field) * slots, 0);
  }

  /** For KVArgs. */
  get args(): { auxDataPtrs: number[]; auxDataLens: number[]; auxItemLens: number[] } {
    return {
      auxDataPtrs: fieldNames.map((field) => this.#memory.address + this.#offsets[field]),
      auxDataLens: fieldNames.map((field) => itemBytes(field) * this.slots),
      auxItemLens: fieldNames.map(itemBytes),
    };
  }

  write(slot: number, record: AuxRecord): void {
    const { room, ...lists } = record;
    for (const field of fieldNames) {
      const values = field === "bootstrapRoom" ? [room] : (lists[field] ?? []);
      const view = this.#view(field, slot);
      if (values.length > view.length) {
        throw new KVUserError("BAD_ARGUMENT", `aux field ${field} holds ${view.length} values, not ${values.length}`, {
          room,
        });
      }
      view.fill(0);
      view.set(values);
    }
  }

  /** All of every list, zeros included: how many count is for the engine to know. */
  read(slot: number): Required<AuxRecord> {
    const list = (field: Field): number[] => [...this.#view(field, slot)];
    return {
      room: this.#view("bootstrapRoom", slot)[0]!,
      outputIds: list("outputIds"),
      cachedTokens: list("cachedTokens"),
      outputTokenLogprobs: list("outputTokenLogprobs"),
      outputTokenLogprobIds: list("outputTokenLogprobIds"),
      outputTopLogprobs: list("outputTopLogprobs"),
      outputTopLogprobIds: list("outputTopLogprobIds"),
    };
  }

  /** Before a slot is lent again, so that what an earlier request left is not taken for the next one's. */
  clear(slot: number): void {
    for (const field of fieldNames) this.#view(field, slot).fill(0);
  }

  #view(field: Field, slot: number): Int32Array | Float32Array | Float64Array {
    if (!Number.isInteger(slot) || slot < 0 || slot >= this.slots) {
      throw new KVUserError("BAD_ARGUMENT", `aux slot ${slot} is not one of ${this.slots}`);
    }
    const { type, count } = FIELDS[field];
    return new VIEWS[type](this.#memory.buffer, this.#offsets[field] + slot * itemBytes(field), count);
  }
}
