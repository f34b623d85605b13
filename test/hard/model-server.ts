import { WorkerProcess } from './worker-process';
import type { Count, Mode, Order } from './workers/model-server';

/** A model server in a process of its own, which does as it is told. */
export class ModelServerProcess {
  private constructor(
    private readonly worker: WorkerProcess<Order, Count>,
    public readonly url: string,
  ) {}

  /** Starts one; on a given port where it takes the place of another. */
  public static async start(port = 0): Promise<ModelServerProcess> {
    const worker = await WorkerProcess.start<Order, Count>('model-server', { PORT: String(port) });
    return new ModelServerProcess(worker, (await worker.ask('count')).url);
  }

  public get port(): number {
    return Number(new URL(this.url).port);
  }

  /** Changes what it does, and returns the calls that it had until now. */
  public async behave(mode: Mode): Promise<number> {
    return (await this.worker.ask({ mode })).calls;
  }

  /** Calls since it was last told what to do. */
  public async calls(): Promise<number> {
    return (await this.worker.ask('count')).calls;
  }

  public signal(signal: NodeJS.Signals): void {
    this.worker.signal(signal);
  }

  public kill(): Promise<void> {
    return this.worker.kill();
  }
}
