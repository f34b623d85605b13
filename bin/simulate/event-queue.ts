const FIRST_SIZE = 1024;

/**
 * Events in order of their time; of the same time, in the order in which they were added. A binary heap on typed arrays:
 * no object is made for an event, so that a million requests leave the garbage collector nothing to do.
 */
export class EventQueue {
  /** What the last event taken carried. */
  public time = 0;
  public kind = 0;
  public subject = 0;
  public version = 0;

  private length = 0;
  private added = 0;
  private times = new Float64Array(FIRST_SIZE);
  private orders = new Float64Array(FIRST_SIZE);
  private kinds = new Uint8Array(FIRST_SIZE);
  private subjects = new Int32Array(FIRST_SIZE);
  private versions = new Int32Array(FIRST_SIZE);

  public get size(): number {
    return this.length;
  }

  /** Time of the next event; infinite where there is none. */
  public get nextTime(): number {
    return this.length === 0 ? Infinity : this.times[0]!;
  }

  /** Adds an event of some kind about some subject. The version is the caller's, to know an outdated event by. */
  public add(time: number, kind: number, subject: number, version = 0): void {
    if (Number.isNaN(time)) throw new RangeError('the time of an event must be a number');
    if (this.length === this.times.length) this.grow();
    const order = this.added++;
    let hole = this.length++;
    while (hole > 0) {
      const parent = (hole - 1) >> 1;
      // An event that is added later goes behind those of the same time.
      if (this.times[parent]! <= time) break;
      this.move(parent, hole);
      hole = parent;
    }
    this.put(hole, time, order, kind, subject, version);
  }

  /** Takes the next event into the fields of the queue; false where there is none. */
  public take(): boolean {
    if (this.length === 0) return false;
    this.time = this.times[0]!;
    this.kind = this.kinds[0]!;
    this.subject = this.subjects[0]!;
    this.version = this.versions[0]!;
    const last = --this.length;
    if (last > 0) this.sink(last);
    return true;
  }

  /** Lets the event at `last` sink from the top. */
  private sink(last: number): void {
    const time = this.times[last]!;
    const order = this.orders[last]!;
    let hole = 0;
    for (;;) {
      let child = 2 * hole + 1;
      if (child >= last) break;
      if (child + 1 < last && this.isBefore(child + 1, this.times[child]!, this.orders[child]!)) child += 1;
      if (!this.isBefore(child, time, order)) break;
      this.move(child, hole);
      hole = child;
    }
    this.put(hole, time, order, this.kinds[last]!, this.subjects[last]!, this.versions[last]!);
  }

  private isBefore(index: number, time: number, order: number): boolean {
    const own = this.times[index]!;
    return own < time || (own === time && this.orders[index]! < order);
  }

  private move(from: number, to: number): void {
    this.put(to, this.times[from]!, this.orders[from]!, this.kinds[from]!, this.subjects[from]!, this.versions[from]!);
  }

  private put(at: number, time: number, order: number, kind: number, subject: number, version: number): void {
    this.times[at] = time;
    this.orders[at] = order;
    this.kinds[at] = kind;
    this.subjects[at] = subject;
    this.versions[at] = version;
  }

  private grow(): void {
    const size = this.times.length * 2;
    const longer = <T extends { set(values: T): void }>(array: T, next: T): T => {
      next.set(array);
      return next;
    };
    this.times = longer(this.times, new Float64Array(size));
    this.orders = longer(this.orders, new Float64Array(size));
    this.kinds = longer(this.kinds, new Uint8Array(size));
    this.subjects = longer(this.subjects, new Int32Array(size));
    this.versions = longer(this.versions, new Int32Array(size));
  }
}
