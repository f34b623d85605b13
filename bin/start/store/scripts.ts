import { createHash } from 'node:crypto';
import { ErrorReply, type Reply, StatusReply } from '../resp';
import { type Bytes, parseInteger } from './command';
import { findCommand, takes, wrongArguments } from './data-commands';
import type { Keyspace } from './keyspace';
import { type Compiled, LuaEngine } from './lua-engine';

/** Scripts that stay compiled: a client that sends each with other text would fill the memory otherwise. */
const MOST_SCRIPTS = 200;

const SHA1_DIGITS = 40;

/** What Redis has and lets no script do; the rest of what is not served is unknown here. */
const NOT_FROM_SCRIPTS = new Set(['auth', 'client', 'eval', 'evalsha', 'hello', 'quit', 'script']);

/**
 * The scripts of a store: EVAL, EVALSHA and SCRIPT. Those that were used least lately are forgotten beyond
 * {@link MOST_SCRIPTS}, as a real store forgets all at a restart; clients send a script again on NOSCRIPT.
 */
export class Scripts {
  private engine: LuaEngine | undefined;
  /** By digest, the one used last at the end. */
  private readonly compiled = new Map<string, Compiled>();

  constructor(private readonly db: Keyspace) {}

  public eval([text, ...rest]: readonly Bytes[]): Reply {
    if (text === undefined || rest.length === 0) throw wrongArguments('eval');
    const sha1 = sha1Of(text);
    return this.run(sha1, rest, () => this.load(sha1, text));
  }

  public evalsha([digest, ...rest]: readonly Bytes[]): Reply {
    if (digest === undefined || rest.length === 0) throw wrongArguments('evalsha');
    const sha1 = digest.toLowerCase();
    if (sha1.length !== SHA1_DIGITS) throw noScript();
    return this.run(sha1, rest, () => {
      const script = this.compiled.get(sha1);
      if (script === undefined) throw noScript();
      return this.used(sha1, script);
    });
  }

  public script([action, ...args]: readonly Bytes[]): Reply {
    if (action === undefined) throw wrongArguments('script');
    const [first] = args;
    switch (action.toLowerCase()) {
      case 'load': {
        if (first === undefined || args.length > 1) throw wrongArguments('script|load');
        const sha1 = sha1Of(first);
        this.load(sha1, first);
        return sha1;
      }
      case 'exists':
        if (args.length === 0) throw wrongArguments('script|exists');
        return args.map((sha1) => (this.compiled.has(sha1.toLowerCase()) ? 1 : 0));
      case 'flush':
        if (args.length > 1 || (first !== undefined && !/^a?sync$/i.test(first))) {
          throw new ErrorReply('ERR SCRIPT FLUSH only support SYNC|ASYNC option');
        }
        this.compiled.clear();
        this.engine = undefined;
        return new StatusReply('OK');
      default:
        throw new ErrorReply(`ERR unknown subcommand '${action}'. Try SCRIPT HELP.`);
    }
  }

  private run(sha1: string, [countText, ...rest]: readonly Bytes[], find: () => Compiled): Reply {
    const count = parseInteger(countText!);
    if (count < 0) throw new ErrorReply("ERR Number of keys can't be negative");
    if (count > rest.length) throw new ErrorReply("ERR Number of keys can't be greater than number of args");
    const script = find();
    return this.machine().run(script, sha1, rest.slice(0, count), rest.slice(count));
  }

  private load(sha1: string, text: Bytes): Compiled {
    const script = this.used(sha1, this.compiled.get(sha1) ?? this.machine().compile(text));
    for (const [oldest, forgotten] of this.compiled) {
      if (this.compiled.size <= MOST_SCRIPTS) break;
      this.compiled.delete(oldest);
      this.machine().forget(forgotten);
    }
    return script;
  }

  private used(sha1: string, script: Compiled): Compiled {
    this.compiled.delete(sha1);
    this.compiled.set(sha1, script);
    return script;
  }

  /** Made when it is needed: a store without scripts starts at once. */
  private machine(): LuaEngine {
    this.engine ??= new LuaEngine((args) => this.call(args), {
      error_reply: (message) => (message === undefined ? wrongUse() : new ErrorReply(withCode(message))),
      status_reply: (text) => (text === undefined ? wrongUse() : new StatusReply(text)),
      sha1hex: (text) => {
        if (text === undefined) throw new ErrorReply('ERR wrong number of arguments');
        return sha1Of(text);
      },
    });
    return this.engine;
  }

  private call([name, ...args]: readonly Bytes[]): Reply {
    const command = findCommand(name!);
    if (!command) {
      throw new ErrorReply(
        NOT_FROM_SCRIPTS.has(name!.toLowerCase())
          ? 'ERR This Redis command is not allowed from script'
          : 'ERR Unknown Redis command called from script',
      );
    }
    if (!takes(command, args.length)) {
      throw new ErrorReply('ERR Wrong number of args calling Redis command from script');
    }
    return command.run(this.db, args);
  }
}

/** A message of several words begins with its code, and a `-` before it is optional. */
function withCode(message: Bytes): Bytes {
  const text = message.replace(/^-/, '');
  return text.includes(' ') ? text : `ERR ${text}`;
}

function noScript(): ErrorReply {
  return new ErrorReply('NOSCRIPT No matching script. Please use EVAL.');
}

function wrongUse(): ErrorReply {
  return new ErrorReply('ERR wrong number or type of arguments');
}

function sha1Of(text: Bytes): string {
  return createHash('sha1').update(text, 'latin1').digest('hex');
}
