import { createServer, type AddressInfo, type Socket } from 'node:net';
import { encodeReply, type Reply, RequestParser, StatusReply } from '../../bin/start/resp';

/** A server that speaks as much of Valkey's search as the documentation says, and refuses whatever it does not say. */
export interface SearchServer {
  readonly url: string;
  /** Every command that was received, as text; bytes in hexadecimal where they are none. */
  readonly commands: string[][];
  /** Answers a command by its name in place of the server. */
  readonly replies: Map<string, () => Reply>;
  /** Forgets keys and indexes, as a store does that begins anew. */
  flush(): void;
  close(): Promise<void>;
}

interface Index {
  readonly prefix: string;
  readonly tag: string;
  readonly vector: string;
  readonly dimensions: number;
}

interface Hash {
  readonly fields: Map<string, Buffer>;
  expiresAt: number;
}

/** ElastiCache for Valkey 8.2 holds as many. */
const MOST_INDEXES = 10;

/** The names, forms and messages are those of valkey-search 1.0 (COMMANDS.md, and its sources for the errors). */
class SearchEngine {
  private readonly indexes = new Map<string, Index>();
  private readonly hashes = new Map<string, Hash>();
  private readonly texts = new Map<string, { readonly text: Buffer; readonly expiresAt: number }>();

  public run(name: string, args: Buffer[]): Reply {
    switch (name) {
      case 'FT.CREATE':
        return this.create(args.map(String));
      case 'FT.SEARCH':
        return this.search(args);
      case 'HSET':
        return this.setHash(args);
      case 'PEXPIRE':
        return this.expire(String(args[0]), whole(args[1]));
      case 'SET':
        if (args.length !== 4 || String(args[2]) !== 'PX') return new Error('ERR syntax error');
        this.texts.set(String(args[0]), { text: args[1]!, expiresAt: Date.now() + whole(args[3]) });
        return new StatusReply('OK');
      case 'GET': {
        const found = this.texts.get(String(args[0]));
        return found && found.expiresAt > Date.now() ? found.text : null;
      }
      case 'INFO':
        return 'redis_version:7.2.4\r\nloading:0\r\n';
      default:
        return new Error(`ERR unknown command '${name}', with args beginning with: `);
    }
  }

  private create([name = '', ...rest]: string[]): Reply {
    const form =
      /^ON HASH PREFIX 1 (\S+) SCHEMA (\w+) TAG (\w+) VECTOR FLAT 6 TYPE FLOAT32 DIM (\d+) DISTANCE_METRIC COSINE$/.exec(
        rest.join(' '),
      );
    if (!form) return new Error(`Unexpected argument in \`${rest.join(' ')}\``);
    const [, prefix = '', tag = '', vector = '', dimensions] = form;
    if (/\{.+\}/.test(name)) return new Error('Index name must not contain a hash tag');
    if (/\{.+\}/.test(prefix)) return new Error('PREFIX argument(s) must not contain a hash tag');
    if (this.indexes.has(name)) return new Error(`Index ${name} already exists.`);
    if (this.indexes.size >= MOST_INDEXES) return new Error('Maximum number of indexes reached (10)');
    this.indexes.set(name, { prefix, tag, vector, dimensions: Number(dimensions) });
    return new StatusReply('OK');
  }

  private search([nameBytes, queryBytes, ...rest]: Buffer[]): Reply {
    const index = this.indexes.get(String(nameBytes));
    if (!index) return new Error(`Index with name '${String(nameBytes)}' not found`);
    const options = optionsOf(rest);
    if (options instanceof Error) return options;
    const query = /^@(\w+):\{([^{}|]+)\}=>\[KNN 1 @(\w+) \$(\w+) AS (\w+)\]$/.exec(String(queryBytes));
    if (!query) return new Error(`Invalid filter expression: \`${String(queryBytes)}\`.`);
    const [, tag, wanted, field, parameter = '', scoreName = ''] = query;
    if (tag !== index.tag || field !== index.vector) return new Error('`Invalid index field name`');
    const blob = options.parameters.get(parameter);
    if (!blob || options.parameters.size !== 1) return new Error(`Parameter ${parameter} not found.`);
    if (blob.length !== index.dimensions * 4) {
      return new Error(
        `query vector blob size (${blob.length}) does not match index's expected size (${index.dimensions * 4}).`,
      );
    }
    const [best] = [...this.hashes]
      .filter(([key, hash]) => key.startsWith(index.prefix) && hash.expiresAt > Date.now())
      .filter(([, { fields }]) => String(fields.get(index.tag)) === wanted)
      .map(([key, { fields }]) => ({ key, distance: 1 - cosine(fields.get(index.vector)!, blob) }))
      .sort((a, b) => a.distance - b.distance);
    if (!best) return [0];
    return [1, best.key, [scoreName, Number(best.distance.toPrecision(12)).toString()]];
  }

  private setHash([key, ...pairs]: Buffer[]): Reply {
    if (pairs.length === 0 || pairs.length % 2 === 1)
      return new Error("ERR wrong number of arguments for 'hset' command");
    const fields = new Map(pairs.flatMap((name, i) => (i % 2 === 0 ? [[String(name), pairs[i + 1]!] as const] : [])));
    this.hashes.set(String(key), { fields, expiresAt: this.hashes.get(String(key))?.expiresAt ?? Infinity });
    return fields.size;
  }

  private expire(key: string, ms: number): Reply {
    const hash = this.hashes.get(key);
    if (hash) hash.expiresAt = Date.now() + ms;
    return hash ? 1 : 0;
  }
}

interface Options {
  readonly parameters: Map<string, Buffer>;
}

function optionsOf(args: Buffer[]): Options | Error {
  const parameters = new Map<string, Buffer>();
  let dialect = '';
  for (let i = 0; i < args.length; i++) {
    const option = String(args[i]);
    if (option === 'PARAMS') {
      if (String(args[i + 1]) !== '2') return new Error('Parameter count must be an even number.');
      parameters.set(String(args[i + 2]), args[i + 3]!);
      i += 3;
    } else if (option === 'RETURN') {
      if (String(args[i + 1]) !== '1' || String(args[i + 2]) !== 'distance') return new Error('Unexpected RETURN');
      i += 2;
    } else if (option === 'LIMIT') {
      if (whole(args[i + 1]) !== 0 || whole(args[i + 2]) < 1) return new Error('Unexpected LIMIT');
      i += 2;
    } else if (option === 'TIMEOUT') {
      const ms = whole(args[++i]);
      if (ms < 1 || ms > 60_000) return new Error('TIMEOUT must be a positive integer greater than 0');
    } else if (option === 'DIALECT') {
      dialect = String(args[++i]);
    } else {
      return new Error(`Unexpected parameter at position ${i + 3}:${option}`);
    }
  }
  if (dialect !== '2') return new Error('DIALECT requires a non negative integer >=2 and <= 4');
  return { parameters };
}

function whole(bytes: Buffer | undefined): number {
  const text = String(bytes);
  if (!/^\d+$/.test(text)) throw new Error(`ERR value is not an integer or out of range: ${text}`);
  return Number(text);
}

/** As the engine has it: of any two vectors, whatever their lengths. */
function cosine(a: Buffer, b: Buffer): number {
  let [product, squaresOfA, squaresOfB] = [0, 0, 0];
  for (let at = 0; at < a.length; at += 4) {
    const [x, y] = [a.readFloatLE(at), b.readFloatLE(at)];
    product += x * y;
    squaresOfA += x * x;
    squaresOfB += y * y;
  }
  return product / Math.sqrt(squaresOfA * squaresOfB);
}

/** Starts a server. */
export async function startSearchServer(): Promise<SearchServer> {
  let engine = new SearchEngine();
  const commands: string[][] = [];
  const replies = new Map<string, () => Reply>();
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.setNoDelay(true);
    const parser = new RequestParser();
    socket.on('error', () => socket.destroy());
    socket.on('data', (chunk: Buffer) => {
      for (const [nameBytes, ...args] of parser.push(chunk)) {
        const name = String(nameBytes).toUpperCase();
        const shown = args.map((arg) => (Buffer.from(String(arg)).equals(arg) ? String(arg) : arg.toString('hex')));
        commands.push([name, ...shown]);
        const own = replies.get(name);
        try {
          socket.write(encodeReply(own ? own() : engine.run(name, args)));
        } catch (error) {
          socket.write(encodeReply(error as Error));
        }
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `redis://127.0.0.1:${(server.address() as AddressInfo).port}`,
    commands,
    replies,
    flush: () => {
      engine = new SearchEngine();
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}
