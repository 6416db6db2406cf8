/** Counts of values by upper bound, as Prometheus has them; `observe` allocates nothing. */
export class Histogram {
  readonly bounds: readonly number[];
  /** One more than the bounds: the last is for values above them all. */
  readonly counts: Float64Array;
  sum = 0;

  constructor(bounds: readonly number[]) {
    this.bounds = bounds;
    this.counts = new Float64Array(bounds.length + 1);
  }

  get count(): number {
    return this.counts.reduce((sum, count) => sum + count, 0);
  }

  /** Counts a value, or `times` equal ones. */
  observe(value: number, times = 1): void {
    const { bounds } = this;
    let at = 0;
    while (at < bounds.length && value > bounds[at]!) at++;
    this.counts[at]! += times;
    this.sum += value * times;
  }

  /** The value below which a part of all lie, estimated within its bucket; 0 without values. */
  quantile(part: number): number {
    const target = this.count * part;
    let seen = 0;
    for (let i = 0; i < this.counts.length; i++) {
      const here = this.counts[i]!;
      if (here === 0 || seen + here < target) {
        seen += here;
        continue;
      }
      const low = i === 0 ? 0 : this.bounds[i - 1]!;
      const high = this.bounds[i] ?? low;
      return low + (high - low) * ((target - seen) / here);
    }
    return 0;
  }
}
