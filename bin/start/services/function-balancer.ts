import type { IncomingMessage, ServerResponse } from 'node:http';
import type { BalancerAnswer } from '../../../lambda/data-pipeline/service-call';
import { type HttpListener, listenLocally } from '../http-listener';
import type { LambdaFunction } from '../lambda-runtime';
import { BodyTooLarge, readBody } from '../read-body';
import { functionBehind } from '../resources/function-reference';
import { referenceIn, resourcesOf, type Template } from '../template';

/** A load balancer of the template that has a function as its target. */
export interface FunctionBalancer {
  readonly id: string;
  readonly functionId: string;
}

/** What an Application Load Balancer takes for a function. */
const MOST_BYTES = 1024 * 1024;

/** The load balancers of the template whose listener leads to a function. */
export function functionBalancersOf(template: Template): FunctionBalancer[] {
  const targets = new Map(
    resourcesOf(template, 'AWS::ElasticLoadBalancingV2::TargetGroup')
      .filter(([, { TargetType: type }]) => type === 'lambda')
      .map(([id, { Targets: list }]) => [id, functionBehind(template, list, id)] as const),
  );
  return resourcesOf(template, 'AWS::ElasticLoadBalancingV2::Listener').flatMap(([, listener]) => {
    const functionId = targets.get(referenceIn(listener.DefaultActions) ?? '');
    return functionId === undefined ? [] : [{ id: referenceIn(listener.LoadBalancerArn) ?? '', functionId }];
  });
}

/**
 * Serves a function as its load balancer does, but for TLS: nobody else is on this machine's own network.
 *
 * @param lambda the function, once it is loaded
 */
export function serveBalancer(id: string, lambda: () => LambdaFunction | undefined): Promise<HttpListener> {
  return listenLocally(0, (request, response) => {
    // A failure here means that the client is gone.
    answer(id, lambda(), request, response).catch(() => response.destroy());
  });
}

async function answer(
  id: string,
  lambda: LambdaFunction | undefined,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  let body: Buffer;
  try {
    body = await readBody(request, MOST_BYTES);
  } catch (error) {
    if (!(error instanceof BodyTooLarge)) throw error;
    response.writeHead(413, { connection: 'close' }).end();
    return;
  }
  const url = new URL(request.url ?? '/', 'http://balancer');
  const event = {
    requestContext: { elb: { targetGroupArn: id } },
    httpMethod: request.method,
    path: url.pathname,
    queryStringParameters: Object.fromEntries(url.searchParams),
    headers: Object.fromEntries(Object.entries(request.headers).map(([name, value]) => [name, String(value)])),
    body: body.toString(),
    isBase64Encoded: false,
  };
  const answered = await lambda?.invoke(event).then(
    (given) => given as BalancerAnswer,
    () => undefined,
  );
  if (answered === undefined) response.writeHead(502).end();
  else response.writeHead(answered.statusCode, answered.headers).end(answered.body);
}
