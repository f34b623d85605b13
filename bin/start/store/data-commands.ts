import { ErrorReply, type Reply } from '../resp';
import { asCString, type Bytes, type Command } from './command';
import { HASH_COMMANDS } from './hash-commands';
import { KEY_COMMANDS } from './key-commands';
import type { Keyspace } from './keyspace';
import { SORTED_SET_COMMANDS } from './sorted-set-commands';
import { STRING_COMMANDS } from './string-commands';

const COMMANDS = new Map<string, Command>(
  [KEY_COMMANDS, STRING_COMMANDS, HASH_COMMANDS, SORTED_SET_COMMANDS].flatMap((group) => Object.entries(group)),
);

/** The command of a name, in letters of either case. */
export function findCommand(name: Bytes): Command | undefined {
  return COMMANDS.get(name) ?? COMMANDS.get(name.toLowerCase());
}

/** Whether a command takes so many arguments. */
export function takes(command: Command, count: number): boolean {
  return count >= command.least && count <= command.most;
}

/** Runs a client's command on the data. @throws ErrorReply where Redis answers an error */
export function runDataCommand(db: Keyspace, name: Bytes, args: readonly Bytes[]): Reply {
  const command = findCommand(name);
  if (!command) throw unknownCommand(name, args);
  if (!takes(command, args.length)) throw wrongArguments(name);
  return command.run(db, args);
}

export function wrongArguments(name: Bytes): ErrorReply {
  return new ErrorReply(`ERR wrong number of arguments for '${name.toLowerCase()}' command`);
}

/** Quotes the request as Redis does: at most 128 characters, and of each part what is before a zero byte. */
function unknownCommand(name: Bytes, args: readonly Bytes[]): ErrorReply {
  let quoted = '';
  for (const arg of args) {
    if (quoted.length >= 128) break;
    quoted += `'${asCString(arg).slice(0, 128 - quoted.length)}' `;
  }
  return new ErrorReply(`ERR unknown command '${asCString(name).slice(0, 128)}', with args beginning with: ${quoted}`);
}
