/** Invokes a handler as Lambda would: `node invoke.mjs FOLDER FILE.EXPORT`, with the event on standard input. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const [folder, handler] = process.argv.slice(2);
const [file, name] = handler.split('.');
const module = await import(pathToFileURL(join(folder, `${file}.mjs`)).href);
const event = JSON.parse(readFileSync(0, 'utf8'));
await module[name](event, { awsRequestId: event.RequestId, getRemainingTimeInMillis: () => 60_000 });
