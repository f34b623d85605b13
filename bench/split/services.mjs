/**
 * As much of S3, SQS and DynamoDB as a split calls, in a process of its own: an object of generated lines, a queue that
 * takes everything, and a table that holds its rows. Prints its port; answers `GET /taken` with the number of messages.
 *
 *     node bench/split/services.mjs LINES
 */
import { createServer } from 'node:http';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';

const lines = Number(process.argv[2]);
const CHUNK_LINES = 500;
const lineOf = (number) => {
  const body = {
    model: 'llama',
    messages: [{ role: 'user', content: 'Say in one sentence what this document is about.' }],
  };
  const id = `request-${String(number).padStart(8, '0')}`;
  return `${JSON.stringify({ custom_id: id, method: 'POST', url: '/v1/chat/completions', body })}\n`;
};
const bytes = lineOf(0).length * lines;

function* chunks() {
  for (let line = 0; line < lines; line += CHUNK_LINES) {
    const count = Math.min(CHUNK_LINES, lines - line);
    yield Buffer.from(Array.from({ length: count }, (_, i) => lineOf(line + i)).join(''));
  }
}

const rows = new Map();
let taken = 0;

const keyOf = ({ pk, sk }) => `${pk.S}/${sk.S}`;
const operations = {
  GetItem: ({ Key }) => ({ Item: rows.get(keyOf(Key)) }),
  PutItem: ({ Item }) => (rows.set(keyOf(Item), Item), {}),
  Query: () => ({ Items: [] }),
  SendMessageBatch: ({ Entries }) => {
    taken += Entries.length;
    return { Successful: Entries.map(({ Id }) => ({ Id, MessageId: Id, MD5OfMessageBody: '' })), Failed: [] };
  },
};

const server = createServer(async (request, response) => {
  if (request.url === '/taken') {
    response.end(JSON.stringify({ taken, bytes }));
  } else if (request.method === 'GET') {
    response.writeHead(200, { etag: '"lines"', 'content-length': bytes });
    Readable.from(chunks()).pipe(response);
  } else {
    const input = JSON.parse((await buffer(request)).toString());
    const answer = operations[request.headers['x-amz-target'].split('.').at(-1)](input);
    response.end(JSON.stringify(answer));
  }
});
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
