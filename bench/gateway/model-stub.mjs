/** A model that answers at once, always the same: what is left of the measured time is the gateway's. */
import { createServer } from 'node:http';

const answer = Buffer.from(
  JSON.stringify({
    id: 'chatcmpl-1',
    object: 'chat.completion',
    created: 1_700_000_000,
    model: 'llama',
    choices: [{ index: 0, message: { role: 'assistant', content: 'Yes, it does.' }, finish_reason: 'stop' }],
    usage: { prompt_tokens: 61, completion_tokens: 5, total_tokens: 66 },
  }),
);
const headers = { 'content-type': 'application/json', 'content-length': String(answer.length) };

createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
  request.resume().once('end', () => response.writeHead(200, headers).end(answer));
}).listen(Number(process.env.PORT), '127.0.0.1', () => process.send('listening'));
