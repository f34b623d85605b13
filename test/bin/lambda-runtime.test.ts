import { describe, expect, it } from '@jest/globals';
import type { FunctionDefinition } from '../../bin/start/function-definition';
import { loadFunction } from '../../bin/start/lambda-runtime';

const definition = (id: string, environment: Record<string, string> = {}): FunctionDefinition => ({
  id,
  file: `/${id}/index.mjs`,
  handler: 'handler',
  timeoutMs: 5000,
  environment,
});

/** Loads a "module" whose code is a function: it runs at import and returns the exports. */
const load = (
  id: string,
  environment: Record<string, string>,
  module: () => Record<string, unknown>,
  log?: (text: string) => void,
) =>
  loadFunction(definition(id, environment), log ?? (() => undefined), async () => {
    await Promise.resolve();
    return module();
  });

describe('the runtime of functions', () => {
  it('shows each function its own environment, at import and at every call, and no other', async () => {
    const own = (id: string) =>
      load(id, { NAME: id }, () => {
        const atImport = process.env.NAME;
        return {
          handler: async () => {
            await new Promise((resolve) => setTimeout(resolve, 5));
            return [atImport, process.env.NAME, process.env.PATH, Object.keys(process.env), 'NAME' in process.env];
          },
        };
      });
    const [a, b] = await Promise.all([own('a'), own('b')]);
    const answers = await Promise.all([a.invoke({}), b.invoke({}), a.invoke({})]);
    expect(answers).toEqual(['a', 'b', 'a'].map((id) => [id, id, undefined, ['NAME'], true]));
    expect(process.env.NAME).toBeUndefined();
    expect(process.env.PATH).toBeTruthy();
  });

  it('keeps what a function sets to that function', async () => {
    const setter = await load('setter', {}, () => ({
      handler: () => {
        process.env.SET_HERE = 'yes';
        const seen = process.env.SET_HERE;
        delete process.env.SET_HERE;
        return [seen, process.env.SET_HERE];
      },
    }));
    expect(await setter.invoke({})).toEqual(['yes', undefined]);
    expect(process.env.SET_HERE).toBeUndefined();
  });

  it("takes a function's output as its log", async () => {
    const logged: string[] = [];
    const talking = await load(
      'talking',
      {},
      () => ({
        handler: () => new Promise<void>((resolve) => void process.stdout.write('a line\n', () => resolve())),
      }),
      (text) => logged.push(text),
    );
    await talking.invoke({});
    expect(logged).toEqual(['a line\n']);
  });

  it('tells a handler its time and its name', async () => {
    const lambda = await load('named', { AWS_LAMBDA_FUNCTION_MEMORY_SIZE: '128' }, () => ({
      handler: (_event: unknown, context: { functionName: string; getRemainingTimeInMillis(): number }) => [
        context.functionName,
        context.getRemainingTimeInMillis(),
      ],
    }));
    const [name, remaining] = (await lambda.invoke({})) as [string, number];
    expect(name).toBe('named');
    expect(remaining).toBeGreaterThan(4000);
    expect(remaining).toBeLessThanOrEqual(5000);
  });

  it('passes on what a handler throws, at once or later', async () => {
    const failing = await load('failing', {}, () => ({
      handler: () => {
        throw new Error('Unauthorized');
      },
    }));
    await expect(failing.invoke({})).rejects.toThrow('Unauthorized');
    const { stream, ended } = failing.invokeStreaming({});
    const error = await new Promise<Error>((resolve) => stream.on('error', resolve));
    expect(error.message).toBe('Unauthorized');
    await ended;
  });

  it('says what is missing where a bundle has no such handler', async () => {
    await expect(load('empty', {}, () => ({}))).rejects.toThrow(
      'function empty: /empty/index.mjs exports no "handler"',
    );
  });
});
