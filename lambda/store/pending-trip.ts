import { StoreLost } from '../gateway/request-store';
import { type Argument, type Reply, ReplyError } from './resp';
import type { Script } from './scripts';
import type { Exchange, Request, StoreSocket } from './store-socket';

/** One command of a trip: a script, fields of a hash, or any other command by its name, such as `FT.SEARCH`. */
export type Command = (
  | { readonly script: Script; readonly keys: readonly string[]; readonly args: readonly Argument[] }
  | { readonly read: 'hmget'; readonly key: string; readonly fields: readonly string[] }
  | { readonly call: string; readonly args: readonly Argument[] }
) & {
  /** Whether values of the reply are wanted as bytes, in place of text in UTF-8. */
  readonly asBytes?: boolean;
};

/** Where a trip ends. */
export interface TripEnd {
  readonly resolve: (replies: Reply[]) => void;
  readonly reject: (error: StoreLost) => void;
  /** Called once, when nothing more comes for the trip: also where it has been given up long before. */
  readonly over: (trip: PendingTrip) => void;
}

/** Replies after which a connection is of no more use: it leads to a replica by now, or its sign-in has ended. */
const USELESS = /^(?:READONLY|NOAUTH)\b/;

/** A trip from its commands to their replies. A store forgets scripts at a failover; it is then told them again. */
export class PendingTrip implements Exchange {
  private isLate = false;
  private first: Reply[] | undefined;

  constructor(
    private readonly socket: StoreSocket,
    private readonly commands: readonly Command[],
    private readonly end: TripEnd,
  ) {}

  /** Sends the commands, scripts by their names. */
  public start(): void {
    this.socket.send(
      this.commands.map((command) => requestOf(command, 'evalsha')),
      this,
    );
  }

  /** Nobody waits any more. What comes now is dropped. */
  public expire(ms: number): void {
    this.isLate = true;
    this.end.reject(new StoreLost(`no answer within ${ms} ms`));
  }

  /** {@inheritDoc Exchange.answered} */
  public answered(replies: Reply[]): void {
    const all = this.first ? merged(this.first, replies) : replies;
    // A script that the store does not know has not run. It shall not, once nobody waits for it.
    if (!this.first && !this.isLate && all.some(isUnknownScript)) {
      this.first = all;
      const unknown = this.commands.filter((_, i) => isUnknownScript(all[i]));
      this.socket.send(
        unknown.map((command) => requestOf(command, 'eval')),
        this,
      );
      return;
    }
    this.end.over(this);
    const failure = all.find((reply) => reply instanceof ReplyError);
    if (failure) {
      this.end.reject(new StoreLost(failure));
      if (USELESS.test(failure.message)) this.socket.close(failure);
    } else {
      this.end.resolve(all);
    }
  }

  /** {@inheritDoc Exchange.lost} */
  public lost(reason: Error): void {
    this.end.over(this);
    this.end.reject(new StoreLost(reason));
  }
}

function requestOf(command: Command, by: 'evalsha' | 'eval'): Request {
  const asBytes = command.asBytes === true;
  if ('read' in command) return { command: ['hmget', command.key, ...command.fields], asBytes };
  if ('call' in command) return { command: [command.call, ...command.args], asBytes };
  const { script, keys, args } = command;
  const code = by === 'eval' ? script.text : script.sha1;
  return { command: [by, code, String(keys.length), ...keys, ...args], asBytes };
}

function isUnknownScript(reply: Reply | undefined): boolean {
  return reply instanceof ReplyError && reply.message.startsWith('NOSCRIPT');
}

/** The first replies, with those of the second try in the places of the unknown scripts. */
function merged(first: readonly Reply[], second: readonly Reply[]): Reply[] {
  let next = 0;
  return first.map((reply) => (isUnknownScript(reply) ? second[next++]! : reply));
}
