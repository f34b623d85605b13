/**
 * The built functions of background work behind a small HTTP front, as API Gateway stands before them: `/v1/…` goes to
 * batch-api as a proxy event of the tenant that the Bearer key names, forms in base 64; `/invoke` to batch-control, with
 * the event that is posted. Prints its port.
 */
import { createServer } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { PassThrough } from 'node:stream';

globalThis.awslambda = {
  streamifyResponse: (handler) => handler,
  HttpResponseStream: { from: (stream, metadata) => (stream.emit('metadata', metadata), stream) },
};

/** Each function finds AWS at an address of its own, where its calls are noted. */
async function load(name, endpoint) {
  process.env.AWS_ENDPOINT_URL = endpoint;
  return import(`../../../dist/handlers/${name}/index.mjs`);
}

const api = await load('batch-api', process.env.AWS_OF_API);
const control = await load('batch-control', process.env.AWS_OF_CONTROL);

const server = createServer(async (request, response) => {
  const body = await buffer(request);
  const { pathname, searchParams } = new URL(request.url, 'http://front');
  if (pathname === '/invoke') {
    const { event, remainingMs = 900_000 } = JSON.parse(body.toString());
    const failure = await control.handler(event, { getRemainingTimeInMillis: () => remainingMs }).then(
      () => null,
      (error) => error.message,
    );
    response.end(JSON.stringify({ failure }));
    return;
  }
  const isForm = request.headers['content-type']?.startsWith('multipart/form-data') ?? false;
  const [tenant, plan = 'standard'] = (request.headers.authorization ?? '').replace('Bearer ', '').split(':');
  const stream = new PassThrough();
  stream.once('metadata', ({ statusCode, headers }) => response.writeHead(statusCode, headers));
  stream.pipe(response);
  await api.handler(
    {
      httpMethod: request.method,
      path: pathname,
      headers: request.headers,
      queryStringParameters: searchParams.size > 0 ? Object.fromEntries(searchParams) : null,
      body: body.length === 0 ? null : body.toString(isForm ? 'base64' : 'utf8'),
      isBase64Encoded: isForm,
      requestContext: { authorizer: { tenant, plan } },
    },
    stream,
  );
});
server.listen(0, '127.0.0.1', () => process.stderr.write(`${server.address().port}\n`));
process.once('disconnect', () => process.exit());
