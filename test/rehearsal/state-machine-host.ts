import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import jsonata from 'jsonata';

/** What a function answers to a payload. One that throws has failed, with the error's name. */
export type HostedFunction = (payload: unknown) => Promise<unknown>;

/** What a job does with its arguments. */
export type HostedJob = (args: Readonly<Record<string, string>>) => Promise<void>;

/** Answers what the interpreter of state machines leaves to others: expressions, functions and jobs. */
export class StateMachineHost {
  /** Functions that the machines may call, by ARN. */
  public readonly functions = new Map<string, HostedFunction>();
  /** Glue jobs that they may start, by name. */
  public readonly jobs = new Map<string, HostedJob>();
  /** Every expression that was evaluated, without the values that it was given. */
  public readonly expressions: string[] = [];
  /** What was called, in order: functions by ARN with the payload, and jobs by name with the arguments. */
  public readonly calls: { readonly called: string; readonly payload: unknown }[] = [];

  private readonly server: Server;

  constructor() {
    this.server = createServer((request, response) => {
      void bodyOf(request)
        .then((body) => this.answer(request.url ?? '', body))
        .catch((error: unknown) => ({ broken: String(error) }))
        .then((answer) => response.setHeader('content-type', 'application/json').end(JSON.stringify(answer)));
    });
  }

  /** @returns the address */
  public async start(): Promise<string> {
    await new Promise<void>((listening) => this.server.listen(0, '127.0.0.1', listening));
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  public close(): void {
    this.server.closeAllConnections();
    this.server.close();
  }

  private async answer(url: string, body: Readonly<Record<string, unknown>>): Promise<object> {
    if (url === '/jsonata') return this.evaluate(body.expression as string);
    const called = (body.function ?? body.name) as string;
    const payload = body.payload ?? body.arguments;
    this.calls.push({ called, payload });
    if (url === '/job') {
      await this.jobs.get(called)!(payload as Record<string, string>);
      return {};
    }
    const hosted = this.functions.get(called);
    if (!hosted) throw new Error(`no function ${called}`);
    try {
      return { StatusCode: 200, Payload: await hosted(payload) };
    } catch (error) {
      const { name: errorType, message: errorMessage } = error as Error;
      return { StatusCode: 200, FunctionError: 'Unhandled', Payload: { errorType, errorMessage } };
    }
  }

  /** Step Functions fails a state whose expression gives nothing. */
  private async evaluate(expression: string): Promise<object> {
    this.expressions.push(expression);
    try {
      const value = (await jsonata(expression).evaluate({})) as unknown;
      return value === undefined ? { error: 'the expression gives nothing' } : { value };
    } catch (error) {
      return { error: (error as Error).message };
    }
  }
}

async function bodyOf(request: IncomingMessage): Promise<Record<string, unknown>> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return JSON.parse(Buffer.concat(chunks).toString()) as Record<string, unknown>;
}
