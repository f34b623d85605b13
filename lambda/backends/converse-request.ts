import { UnsuitedBackend } from '../gateway/backend-port';
import { isRecord } from '../gateway/http-event';
import { type ContentBlock, type ConverseMessage, conversationOf } from './converse-messages';
import { toolConfigOf, type ToolConfig } from './converse-tools';

/** The body of `Converse` and `ConverseStream`. */
export interface ConverseRequest {
  readonly messages: readonly ConverseMessage[];
  readonly system?: readonly ContentBlock[];
  readonly inferenceConfig?: Readonly<Record<string, unknown>>;
  readonly toolConfig?: ToolConfig;
  readonly outputConfig?: Readonly<Record<string, unknown>>;
}

type Body = Readonly<Record<string, unknown>>;

/** Converse's highest temperature; OpenAI's is 2. */
const HIGHEST_TEMPERATURE = 1;

/**
 * Fields that bind the answer to a form or a set of tokens, and which Converse has nothing like: an answer that does not
 * obey them is of no use. The last ones are vLLM's. Fields that are known nowhere here are wishes, and left out.
 */
const BINDING = [
  'audio',
  'functions',
  'function_call',
  'web_search_options',
  'guided_json',
  'guided_regex',
  'guided_choice',
  'guided_grammar',
  'structured_outputs',
];

/**
 * Translates the body of a chat completion
 * (https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html).
 *
 * @throws UnsuitedBackend for a request that Converse could not answer as it was meant
 */
export function converseRequestOf(body: Body): ConverseRequest {
  refuseWhatBinds(body);
  const { system, messages } = conversationOf(Array.isArray(body.messages) ? body.messages : []);
  const inferenceConfig = inferenceConfigOf(body);
  const toolConfig = toolConfigOf(body, messages);
  const outputConfig = outputConfigOf(body.response_format);
  return {
    messages,
    ...(system.length > 0 && { system }),
    ...(Object.keys(inferenceConfig).length > 0 && { inferenceConfig }),
    ...(toolConfig && { toolConfig }),
    ...(outputConfig && { outputConfig }),
  };
}

function refuseWhatBinds(body: Body): void {
  const refuse = (field: string) => {
    throw new UnsuitedBackend(`${field} is not supported by the Amazon Bedrock backend of this model.`, field);
  };
  const { n, best_of: bestOf, logprobs, logit_bias: bias, modalities } = body;
  if (typeof n === 'number' && n > 1) refuse('n');
  if (typeof bestOf === 'number' && bestOf > 1) refuse('best_of');
  if (logprobs === true) refuse('logprobs');
  if (isRecord(bias) && Object.keys(bias).length > 0) refuse('logit_bias');
  if (Array.isArray(modalities) && modalities.some((modality) => modality !== 'text')) refuse('modalities');
  const binding = BINDING.find((field) => body[field] != null);
  if (binding !== undefined) refuse(binding);
}

function inferenceConfigOf(body: Body): Record<string, unknown> {
  const maxTokens = body.max_completion_tokens ?? body.max_tokens;
  const { temperature, top_p: topP, stop } = body;
  const stopSequences = typeof stop === 'string' ? [stop] : stop;
  return {
    ...(maxTokens != null && { maxTokens }),
    ...(temperature != null && {
      temperature: typeof temperature === 'number' ? Math.min(temperature, HIGHEST_TEMPERATURE) : temperature,
    }),
    ...(topP != null && { topP }),
    ...(Array.isArray(stopSequences) && stopSequences.length > 0 && { stopSequences: stopSequences as unknown[] }),
  };
}

/** A schema for the answer, which some models of Bedrock obey and the others refuse; JSON of any form has no counterpart. */
function outputConfigOf(format: unknown): Record<string, unknown> | undefined {
  if (format == null || (isRecord(format) && format.type === 'text')) return undefined;
  const named = isRecord(format) && format.type === 'json_schema' ? format.json_schema : undefined;
  if (!isRecord(named) || !isRecord(named.schema)) {
    throw new UnsuitedBackend(
      'response_format must be of the type text or json_schema, with a schema, for the Amazon Bedrock backend of this model.',
      'response_format',
    );
  }
  const { name, description, schema } = named;
  const jsonSchema = {
    schema: JSON.stringify(schema),
    ...(name != null && { name }),
    ...(description != null && { description }),
  };
  return { textFormat: { type: 'json_schema', structure: { jsonSchema } } };
}
