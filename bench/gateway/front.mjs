/**
 * The thinnest HTTP front that can run the built inference bundle: it turns HTTP into the proxy event and runs the
 * protocol of a streamed answer. In production that is API Gateway's and Lambda's work, so neither its throttles and
 * authorizer nor the emulation of both in `npm start` are measured here. What is ours, the bundle, is all there.
 */
import { createServer } from 'node:http';

globalThis.awslambda = {
  streamifyResponse: (handler) => handler,
  // As in Lambda, status and headers leave with the first write of the body, and not before.
  HttpResponseStream: {
    from: (response, { statusCode, headers }) => {
      response.statusCode = statusCode;
      for (const name of Object.keys(headers)) response.setHeader(name, headers[name]);
      return response;
    },
  },
};
const { handler } = await import(process.env.HANDLER);

let requests = 0;
createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
  const parts = [];
  request.on('data', (part) => parts.push(part));
  request.once('end', () => {
    const event = {
      httpMethod: request.method,
      path: request.url,
      headers: request.headers,
      body: Buffer.concat(parts).toString(),
      isBase64Encoded: false,
      requestContext: { requestId: `request-${++requests}`, authorizer: { tenant: 'acme', plan: 'standard' } },
    };
    void handler(event, response, {});
  });
}).listen(Number(process.env.PORT), '127.0.0.1', () => process.send('listening'));
