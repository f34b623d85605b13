import { JsonSchemaType, type JsonSchema } from 'aws-cdk-lib/aws-apigateway';

/**
 * What API Gateway checks before a function runs: the fields that the gateway reads, and their types. All others pass:
 * what a model server understands is its own affair, and grows faster than this file.
 */

const MODEL: JsonSchema = { type: JsonSchemaType.STRING, minLength: 1, maxLength: 128 };
const SWITCH: JsonSchema = { type: [JsonSchemaType.BOOLEAN, JsonSchemaType.NULL] };
const COUNT: JsonSchema = { type: [JsonSchemaType.INTEGER, JsonSchemaType.NULL], minimum: 1 };
const TEXT_OR_LIST: JsonSchema = { type: [JsonSchemaType.STRING, JsonSchemaType.ARRAY] };

/** `POST /v1/chat/completions` */
export const CHAT_COMPLETION: JsonSchema = {
  title: 'ChatCompletion',
  type: JsonSchemaType.OBJECT,
  required: ['model', 'messages'],
  properties: {
    model: MODEL,
    messages: {
      type: JsonSchemaType.ARRAY,
      minItems: 1,
      items: {
        type: JsonSchemaType.OBJECT,
        required: ['role'],
        properties: { role: { type: JsonSchemaType.STRING } },
      },
    },
    stream: SWITCH,
    n: COUNT,
    max_tokens: COUNT,
    max_completion_tokens: COUNT,
  },
};

/** `POST /v1/completions` */
export const COMPLETION: JsonSchema = {
  title: 'Completion',
  type: JsonSchemaType.OBJECT,
  required: ['model', 'prompt'],
  properties: { model: MODEL, prompt: TEXT_OR_LIST, stream: SWITCH, n: COUNT, max_tokens: COUNT },
};

/** `POST /v1/services/{service}`: all but the outermost form is between the client and the service. */
export const SERVICE_CALL: JsonSchema = { title: 'ServiceCall', type: JsonSchemaType.OBJECT };

/** `POST /v1/embeddings` */
export const EMBEDDING: JsonSchema = {
  title: 'Embedding',
  type: JsonSchemaType.OBJECT,
  required: ['model', 'input'],
  properties: { model: MODEL, input: TEXT_OR_LIST },
};
