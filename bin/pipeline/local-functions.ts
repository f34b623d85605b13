import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { DataRecord } from '../../lambda/data-pipeline/reading/source-record';
import { type CallFunction, FunctionError } from '../../lambda/data-pipeline/stages/function-stage';
import { reasonOf } from '../../lambda/data-pipeline/stages/work';
import { UserError } from '../user-error';

/** Longest call of a function, as a Lambda function has a longest one. */
const CALL_LIMIT_MS = 60_000;

type Handler = (event: { readonly records: readonly DataRecord[] }) => unknown;

/**
 * Loads the user's functions, modules that export `handler`, before anything is read.
 *
 * @param files files of the functions, by name
 * @throws UserError that names the flag and the file of one that cannot be loaded
 */
export async function loadFunctions(
  files: Readonly<Record<string, string>>,
): Promise<ReadonlyMap<string, CallFunction>> {
  const functions = new Map<string, CallFunction>();
  for (const [name, file] of Object.entries(files)) {
    functions.set(name, callWithin(CALL_LIMIT_MS, await load(name, file)));
  }
  return functions;
}

async function load(name: string, file: string): Promise<Handler> {
  const flag = `--function ${name}=${file}`;
  let module: { readonly handler?: unknown; readonly default?: { readonly handler?: unknown } };
  try {
    module = (await import(pathToFileURL(resolve(file)).href)) as typeof module;
  } catch (error) {
    throw new UserError(`${flag} cannot be loaded: ${reasonOf(error)}`, { cause: error });
  }
  const handler = module.handler ?? module.default?.handler;
  if (typeof handler !== 'function') throw new UserError(`${flag} must export a function named handler`);
  return handler as Handler;
}

/** Calls a handler as Lambda does: what it changes in its event changes nothing here, and a call ends at its limit. */
export function callWithin(limitMs: number, handler: Handler): CallFunction {
  return async (records) => {
    let timer: NodeJS.Timeout | undefined;
    // The timer also keeps the process alive, which nothing else does while a promise that never settles is waited for.
    const limit = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`no answer after ${limitMs / 1000} s`)), limitMs);
    });
    try {
      const answer = await Promise.race([handler(structuredClone({ records })), limit]);
      return JSON.parse(JSON.stringify(answer ?? null)) as unknown;
    } catch (error) {
      const said = error instanceof Error ? error.message : String(error);
      throw new FunctionError(`the function failed: ${said}`, { cause: error });
    } finally {
      clearTimeout(timer);
    }
  };
}
