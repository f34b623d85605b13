import { clientConnection } from '../gateway/client-connection';
import type { HttpEvent } from '../gateway/http-event';
import { gatewayFrom } from './parts/gateway-from-environment';

const { gateway } = gatewayFrom(process.env, 'inference');

/** Entry point of the API: streams its answer. */
export const handler = awslambda.streamifyResponse<HttpEvent>(async (event, stream) => {
  const client = clientConnection(stream, (statusCode, headers) =>
    awslambda.HttpResponseStream.from(stream, { statusCode, headers }),
  );
  await gateway.serve(event, client);
});
