import { createHash } from 'node:crypto';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import Redis from 'ioredis-mock';
import { encodeReply, type Reply, RequestParser, RespSyntaxError, StatusReply } from './resp';

/**
 * A store for the local run: a Redis-protocol server in this process, so that the handlers talk to it as they talk to
 * Valkey, over TCP and with the same Lua scripts. `ioredis-mock` holds the data.
 *
 * Stored values may be any bytes. Values that a script touches are text: the mock's Lua works on strings.
 * Transactions, publish/subscribe and blocking commands are refused; no handler uses them.
 */
export interface EmbeddedStore {
  /** `redis://127.0.0.1:<port>`. */
  readonly url: string;
  /** Ends every connection and stops listening. */
  close(): Promise<void>;
}

type Command = (args: Buffer[]) => Reply | Promise<Reply>;

/** The mock's commands by name; each takes strings or buffers and answers in its own shapes. */
type MockCommands = Record<string, ((...args: (string | Buffer)[]) => Promise<unknown>) | undefined>;

const OK = new StatusReply('OK');

/** Commands whose answer is a status line: a client tells `+OK` from a stored "OK". */
const STATUS_COMMANDS = new Set(['set', 'mset', 'hmset', 'flushall', 'flushdb', 'rename', 'type', 'psetex', 'setex']);

/** The mock has these, but not for one instance behind many connections. */
const REFUSED = new Set([
  'multi',
  'exec',
  'discard',
  'watch',
  'unwatch',
  'subscribe',
  'psubscribe',
  'blpop',
  'brpop',
  'connect',
  'disconnect',
]);

/** The mock keys its data by address; a number of its own keeps two stores of one process apart. */
let storesMade = 0;

/** Starts a store on a free port of 127.0.0.1. */
export async function startEmbeddedStore(): Promise<EmbeddedStore> {
  storesMade += 1;
  const commands = storeCommands(new Redis({ host: 'embedded-store', port: storesMade }));
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.setNoDelay(true);
    socket.on('close', () => sockets.delete(socket));
    serve(socket, commands);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(0, '127.0.0.1', resolve);
  });
  return {
    url: `redis://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

/** Answers a connection's requests one after the other, as pipelining clients rely on. */
function serve(socket: Socket, run: Command): void {
  const parser = new RequestParser();
  let lastAnswer = Promise.resolve();
  socket.on('error', () => socket.destroy());
  socket.on('data', (chunk: Buffer) => {
    try {
      const requests = parser.push(chunk);
      lastAnswer = lastAnswer.then(async () => {
        const replies: Buffer[] = [];
        for (const request of requests) replies.push(encodeReply(await run(request)));
        if (socket.destroyed) return;
        socket.write(Buffer.concat(replies));
        if (requests.some(([name]) => text(name).toLowerCase() === 'quit')) socket.end();
      });
    } catch (error) {
      if (!(error instanceof RespSyntaxError)) throw error;
      socket.end(encodeReply(error));
    }
  });
}

function storeCommands(data: unknown): Command {
  const mock = data as MockCommands;
  const scripts = new Map<string, string>();

  const evaluate = async (script: string, args: Buffer[]): Promise<Reply> => {
    scripts.set(sha1(script), script);
    // Strings, not buffers: the mock hands a buffer to Lua as an opaque object.
    const reply = toReply(await mock.eval!(onRealTime(script), ...args.map((arg) => arg.toString())));
    // The mock remembers every script that it ever ran, and the time makes each a new one.
    Object.assign(mock, { shaScripts: {} });
    return reply;
  };

  const own: Record<string, Command> = {
    // Clients that ask for RESP3 fall back to RESP2 on this error, as with Redis 5.
    hello: () => new Error('ERR unknown command `hello`'),
    client: () => OK,
    auth: () => OK,
    ping: ([text]) => text ?? new StatusReply('PONG'),
    select: ([index]) => (text(index) === '0' ? OK : new Error('ERR DB index is out of range')),
    quit: () => OK,
    // Enough for the ready check of the clients; the mock's own answer is a recording of another server.
    info: () => '# Server\r\nredis_version:7.0.0\r\n# Persistence\r\nloading:0\r\n',
    eval: ([script, ...args]) => evaluate(text(script), args),
    evalsha: ([sha, ...args]) => {
      const script = scripts.get(text(sha).toLowerCase());
      return script === undefined ? new Error('NOSCRIPT No matching script. Please use EVAL.') : evaluate(script, args);
    },
    script: ([action, ...args]) => {
      switch (text(action).toLowerCase()) {
        case 'load':
          scripts.set(sha1(text(args[0])), text(args[0]));
          return sha1(text(args[0]));
        case 'exists':
          return args.map((sha) => (scripts.has(text(sha).toLowerCase()) ? 1 : 0));
        case 'flush':
          scripts.clear();
          return OK;
        default:
          return new Error(`ERR unknown subcommand '${text(action)}'`);
      }
    },
  };

  return async ([nameBytes, ...args]) => {
    const name = text(nameBytes).toLowerCase();
    try {
      if (Object.hasOwn(own, name)) return await own[name]!(args);
      const command = REFUSED.has(name) ? undefined : mockCommand(mock, name);
      if (!command) return new Error(`ERR unknown command '${name}'`);
      const answer = toReply(await command.apply(mock, args.map(textOrBytes)));
      return STATUS_COMMANDS.has(name) && Buffer.isBuffer(answer) ? new StatusReply(answer.toString()) : answer;
    } catch (error) {
      return error as Error;
    }
  };
}

/** The mock's own properties are its commands; the twins in -Buffer answer bytes as they are stored. */
function mockCommand(mock: MockCommands, name: string): MockCommands[string] {
  const own = [`${name}Buffer`, name].find((candidate) => Object.hasOwn(mock, candidate));
  return own !== undefined && typeof mock[own] === 'function' ? mock[own] : undefined;
}

/** The mock's answers in the protocol's types. */
function toReply(answer: unknown): Reply {
  if (answer === undefined || answer === null || answer === false) return null;
  if (answer === true) return 1;
  if (typeof answer === 'string' || typeof answer === 'number' || Buffer.isBuffer(answer)) return answer;
  if (Array.isArray(answer)) return answer.map(toReply);
  if (typeof answer === 'object') return Object.entries(answer).flat().map(toReply);
  return new Error('ERR the embedded store takes values and lists from a script, no tables with named fields');
}

/** Text as a string, so that the mock can count with it and hand it to Lua; other bytes as they are. */
function textOrBytes(bytes: Buffer): string | Buffer {
  const asText = bytes.toString();
  return Buffer.from(asText).equals(bytes) ? asText : bytes;
}

function text(bytes: Buffer | undefined): string {
  return bytes?.toString() ?? '';
}

function sha1(script: string): string {
  return createHash('sha1').update(script).digest('hex');
}

/** The mock's TIME is off by up to a second and jumps (seconds rounded, microseconds of another clock); limits live by it. */
function onRealTime(script: string): string {
  const now = Date.now();
  return script.replaceAll("redis.call('TIME')", `{ '${Math.floor(now / 1000)}', '${(now % 1000) * 1000}' }`);
}
