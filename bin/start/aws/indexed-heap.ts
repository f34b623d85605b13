/** A heap whose items may change their place or leave; every operation takes time in the logarithm of its size. */
export class IndexedHeap<T> {
  private readonly items: T[] = [];
  private readonly places = new Map<T, number>();

  /** @param isBefore whether one item comes out before another; what it compares changes by `set` only */
  public constructor(private readonly isBefore: (a: T, b: T) => boolean) {}

  public get size(): number {
    return this.items.length;
  }

  public first(): T | undefined {
    return this.items[0];
  }

  /** Adds an item, or gives one that is there the place that it now belongs to. */
  public set(item: T): void {
    const place = this.places.get(item) ?? this.items.push(item) - 1;
    this.places.set(item, place);
    this.settle(place);
  }

  public delete(item: T): void {
    const place = this.places.get(item);
    if (place === undefined) return;
    this.places.delete(item);
    const last = this.items.pop() as T;
    if (last === item) return;
    this.items[place] = last;
    this.places.set(last, place);
    this.settle(place);
  }

  private settle(start: number): void {
    let place = start;
    while (place > 0 && this.swappedWhereBefore(place, (place - 1) >> 1)) place = (place - 1) >> 1;
    for (;;) {
      const left = 2 * place + 1;
      if (left >= this.items.length) return;
      const right = left + 1;
      const isRight = right < this.items.length && this.isBefore(this.items[right] as T, this.items[left] as T);
      const child = isRight ? right : left;
      if (!this.swappedWhereBefore(child, place)) return;
      place = child;
    }
  }

  private swappedWhereBefore(lower: number, upper: number): boolean {
    const [below, above] = [this.items[lower] as T, this.items[upper] as T];
    if (!this.isBefore(below, above)) return false;
    this.items[upper] = below;
    this.items[lower] = above;
    this.places.set(below, upper);
    this.places.set(above, lower);
    return true;
  }
}
