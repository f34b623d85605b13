import { type AddressInfo, createServer, type Socket } from 'node:net';
import { encodeReply, ErrorReply, type Reply, RequestParser, RespSyntaxError, StatusReply } from './resp';
import { type Bytes, parseInteger } from './store/command';
import { runDataCommand } from './store/data-commands';
import { Keyspace } from './store/keyspace';
import { Scripts } from './store/scripts';

/**
 * A store for the local run: a Redis-protocol server in this process, so that the handlers talk to it as they talk to
 * Valkey, over TCP and with the same Lua scripts.
 *
 * It has the commands on strings, hashes, sorted sets and deadlines that the platform uses, and answers them as Redis 7
 * does; keys and values may be any bytes, in scripts as well. Anything else is an unknown command: transactions,
 * publish/subscribe, blocking commands, other types, search. One database, nothing on disk.
 */
export interface EmbeddedStore {
  /** `redis://127.0.0.1:<port>`. */
  readonly url: string;
  /** Ends every connection and stops listening. */
  close(): Promise<void>;
}

type Run = (request: readonly Bytes[]) => Reply;

const OK = new StatusReply('OK');

/** Starts a store on a free port of 127.0.0.1. */
export async function startEmbeddedStore(): Promise<EmbeddedStore> {
  const run = requestRunner(new Keyspace(Date.now));
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.setNoDelay(true);
    socket.on('close', () => sockets.delete(socket));
    serve(socket, run);
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
function serve(socket: Socket, run: Run): void {
  const parser = new RequestParser();
  socket.on('error', () => socket.destroy());
  socket.on('data', (chunk: Buffer) => {
    try {
      for (const [name, ...args] of parser
        .push(chunk)
        .map((request) => request.map((part) => part.toString('latin1')))) {
        if (name === undefined) continue;
        socket.write(encodeReply(run([name, ...args]), 'latin1'));
        if (name.toLowerCase() !== 'quit') continue;
        socket.end();
        break;
      }
    } catch (error) {
      if (!(error instanceof RespSyntaxError)) throw error;
      socket.end(encodeReply(error));
    }
  });
}

/** Runs requests on the data, each at once and to its end. */
function requestRunner(db: Keyspace): Run {
  const scripts = new Scripts(db);
  const own = new Map<string, (args: readonly Bytes[]) => Reply>(
    Object.entries({
      // Clients that ask for RESP3 fall back to RESP2 on this error, as with Redis 5.
      hello: () => new ErrorReply("ERR unknown command 'hello'"),
      client: () => OK,
      auth: () => OK,
      select: ([index]) => (parseInteger(index ?? '') === 0 ? OK : new ErrorReply('ERR DB index is out of range')),
      quit: () => OK,
      // Enough for the ready check of the clients.
      info: () => '# Server\r\nredis_version:7.0.0\r\n# Persistence\r\nloading:0\r\n',
      eval: (args) => scripts.eval(args),
      evalsha: (args) => scripts.evalsha(args),
      script: (args) => scripts.script(args),
    }),
  );
  return ([name, ...args]) => {
    db.begin();
    try {
      const command = own.get(name!.toLowerCase());
      return command ? command(args) : runDataCommand(db, name!, args);
    } catch (error) {
      if (!(error instanceof ErrorReply)) throw error;
      return error;
    }
  };
}
