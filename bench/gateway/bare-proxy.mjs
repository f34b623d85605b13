/** The least that a gateway in Node.js can cost: `node:http` on both sides with kept connections, nothing looked at. */
import { Agent, createServer, request as httpRequest } from 'node:http';

const agent = new Agent({ keepAlive: true });
const target = new URL(process.env.MODEL_URL);

createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
  const { method, headers, url: path } = request;
  const { hostname, port } = target;
  const call = httpRequest({ hostname, port, method, path, agent, headers: { ...headers, host: target.host } });
  call.once('response', (answer) => {
    response.writeHead(answer.statusCode, answer.headers);
    answer.pipe(response);
  });
  call.once('error', () => response.writeHead(502).end());
  request.pipe(call);
}).listen(Number(process.env.PORT), '127.0.0.1', () => process.send('listening'));
