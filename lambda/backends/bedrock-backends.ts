import type { AwsCredentialIdentity } from '@smithy/types';
import { BedrockApi } from '../../lib/policy/backend';
import { textOf } from '../gateway/answer-text';
import { type BackendAnswer, type BackendCall, type CallBackend, UnsuitedBackend } from '../gateway/backend-port';
import { signedHeaders } from '../security/signed-request';
import type { BedrockCall } from './bedrock-call';
import { errorIn, statusOf } from './bedrock-errors';
import type { BedrockTarget } from './bedrock-models';
import { answerWith } from './answer-with';
import { converseCall } from './converse-call';

/** What Bedrock's backends need from outside. */
export interface BedrockPorts {
  /** Calls a backend over HTTP, at the origin of its target. */
  readonly send: CallBackend;
  /** Who calls: asked at each call, since credentials change. */
  readonly credentials: () => AwsCredentialIdentity;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

const CHAT = '/v1/chat/completions';

/** OpenAI's path, as Bedrock has it (https://docs.aws.amazon.com/bedrock/latest/userguide/inference-chat-completions.html). */
const BEDROCK_CHAT = '/openai/v1/chat/completions';

/** The service's name in signatures, which is not that of its host. */
const SERVICE = 'bedrock';

/** An error is short; what is longer is none of Bedrock's. */
const MOST_ERROR_BYTES = 64 * 1024;

/** Calls models of Bedrock for the backends that are such, and passes all other calls on to `send`. */
export function bedrockBackends(targets: Readonly<Record<string, BedrockTarget>>, ports: BedrockPorts): CallBackend {
  return (call) => {
    const target = targets[call.backend.name];
    return target ? callBedrock(call, target, ports) : ports.send(call);
  };
}

async function callBedrock(
  call: BackendCall,
  target: BedrockTarget,
  { send, credentials, now }: BedrockPorts,
): Promise<BackendAnswer> {
  if (call.path !== CHAT) {
    throw new UnsuitedBackend('The Amazon Bedrock backend of this model serves chat completions only.', 'model');
  }
  const request = JSON.parse(call.body) as Record<string, unknown>;
  const told =
    target.api === BedrockApi.OPENAI
      ? openAiCall(request, target.modelId)
      : converseCall(request, { modelId: target.modelId, requestId: call.headers['x-request-id'] ?? '', now: now() });
  const { path, body } = told;
  const headers = await signedHeaders(
    { method: 'POST', origin: new URL(target.origin), path, headers: { 'content-type': 'application/json' }, body },
    { service: SERVICE, region: target.region, credentials: credentials(), now: new Date(now()) },
  );
  const answer = await send({ ...call, path, body, headers });
  return answer.status === 200 ? told.translate(answer) : judged(answer, told);
}

function openAiCall(request: Record<string, unknown>, modelId: string): BedrockCall {
  return {
    path: BEDROCK_CHAT,
    body: JSON.stringify({ ...request, model: modelId }),
    translate: (answer) => Promise.resolve(answer),
  };
}

/** An error response with the status that says whose fault it is. */
async function judged(answer: BackendAnswer, { dependsOnModel }: BedrockCall): Promise<BackendAnswer> {
  const text = await textOf(answer, MOST_ERROR_BYTES);
  const error = errorIn(answer.headers, text);
  const status = statusOf(error, answer.status);
  if (status === 400 && dependsOnModel !== undefined) throw new UnsuitedBackend(error.message, dependsOnModel);
  return answerWith(answer, { status, body: text });
}
