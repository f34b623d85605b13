import { AsyncLocalStorage } from 'node:async_hooks';

/** What one function sees of its process: its own environment, and where its output goes. */
export interface FunctionScope {
  readonly environment: Record<string, string | undefined>;
  /** Takes what the function writes to standard output: its log. */
  log(text: string): void;
}

const scopes = new AsyncLocalStorage<FunctionScope>();
let installed = false;

/**
 * Runs code of a function in its scope, with all that it starts asynchronously. Functions share this process, yet each
 * sees its own `process.env` at import and at every call (the AWS SDK reads it at the first call), as in Lambda, where
 * each has a process of its own.
 */
export function inScope<T>(scope: FunctionScope, run: () => T): T {
  if (!installed) install();
  installed = true;
  return scopes.run(scope, run);
}

/** From the first function on, `process.env` and standard output look up whose code is running. */
function install(): void {
  const own = process.env;
  const current = () => scopes.getStore()?.environment ?? own;
  process.env = new Proxy<NodeJS.ProcessEnv>(
    {},
    {
      get: (_, name) => Reflect.get(current(), name) as unknown,
      set: (_, name, value) => Reflect.set(current(), name, value),
      has: (_, name) => Reflect.has(current(), name),
      deleteProperty: (_, name) => Reflect.deleteProperty(current(), name),
      ownKeys: () => Reflect.ownKeys(current()),
      getOwnPropertyDescriptor: (_, name) => {
        const property = Reflect.getOwnPropertyDescriptor(current(), name);
        return property && { ...property, configurable: true };
      },
    },
  );

  const write = process.stdout.write.bind(process.stdout) as (...args: unknown[]) => boolean;
  process.stdout.write = (...args: unknown[]): boolean => {
    const scope = scopes.getStore();
    if (!scope) return write(...args);
    const [chunk] = args;
    const text = chunk instanceof Uint8Array ? Buffer.from(chunk).toString() : String(chunk);
    // Outside the scope: the log may itself end at this process's standard output.
    scopes.exit(() => scope.log(text));
    const done = args.find((arg) => typeof arg === 'function') as (() => void) | undefined;
    done?.();
    return true;
  };
}
