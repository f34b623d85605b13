/** Reads lines, parses, writes them: what any pipeline of JSON lines does at least. */
import { createReadStream, createWriteStream } from 'node:fs';
import { once } from 'node:events';

const [input, output] = process.argv.slice(2);
const writer = createWriteStream(output);
let rest = '';
for await (const piece of createReadStream(input, { encoding: 'utf8', highWaterMark: 1024 * 1024 })) {
  const lines = (rest + piece).split('\n');
  rest = lines.pop();
  const out = lines.map((line) => `${JSON.stringify(JSON.parse(line))}\n`).join('');
  if (!writer.write(out)) await once(writer, 'drain');
}
writer.end();
await once(writer, 'finish');
