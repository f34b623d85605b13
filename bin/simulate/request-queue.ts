/** Requests that wait, first come first served; one that lost its place may come back to the front. */
export class RequestQueue {
  private items: number[] = [];
  private head = 0;

  public get length(): number {
    return this.items.length - this.head;
  }

  public get first(): number | undefined {
    return this.items[this.head];
  }

  public push(request: number): void {
    this.items.push(request);
  }

  public pushFront(request: number): void {
    if (this.head > 0) this.items[--this.head] = request;
    else this.items.unshift(request);
  }

  public shift(): void {
    this.head += 1;
    // What was taken is let go of in bulk: an array that shifts each time moves all that waits.
    if (this.head > 1024 && this.head * 2 > this.items.length) {
      this.items = this.items.slice(this.head);
      this.head = 0;
    }
  }

  /** Takes one out of the line; false where it is not in it. */
  public remove(request: number): boolean {
    const at = this.items.indexOf(request, this.head);
    if (at < 0) return false;
    this.items.splice(at, 1);
    return true;
  }

  public [Symbol.iterator](): Iterator<number> {
    return this.items.slice(this.head)[Symbol.iterator]();
  }
}
