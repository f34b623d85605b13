import { JsonSchemaType, type JsonSchema } from 'aws-cdk-lib/aws-apigateway';
import type { ApiRoute } from '../handlers/inference-gateway';

/**
 * What API Gateway checks before a function runs: that the fields which OpenAI's protocol demands are there, and their
 * types. What they may say, the function checks, and says more precisely.
 */

const TEXT: JsonSchema = { type: JsonSchemaType.STRING, minLength: 1 };
const METADATA: JsonSchema = { type: [JsonSchemaType.OBJECT, JsonSchemaType.NULL] };

/** `POST /v1/files` of a file that is uploaded to the address in the answer; one in the request is a form, and no JSON. */
const FILE: JsonSchema = {
  title: 'File',
  type: JsonSchemaType.OBJECT,
  required: ['purpose', 'filename', 'bytes'],
  properties: { purpose: TEXT, filename: TEXT, bytes: { type: JsonSchemaType.INTEGER, minimum: 1 } },
};

/** `POST /v1/batches` */
const BATCH: JsonSchema = {
  title: 'Batch',
  type: JsonSchemaType.OBJECT,
  required: ['input_file_id', 'endpoint', 'completion_window'],
  properties: { input_file_id: TEXT, endpoint: TEXT, completion_window: TEXT, metadata: METADATA },
};

/** `POST /v1/jobs`: the body of any inference request, and to which address of the API it would go. */
const JOB: JsonSchema = {
  title: 'Job',
  type: JsonSchemaType.OBJECT,
  properties: { url: TEXT, model: { ...TEXT, maxLength: 128 }, metadata: METADATA },
};

/** What of the gateway's API is about files, batches and jobs. */
export const BATCH_ROUTES: readonly ApiRoute[] = [
  { method: 'POST', path: '/v1/files', schema: FILE, binaryMediaTypes: ['multipart/form-data'] },
  { method: 'GET', path: '/v1/files' },
  { method: 'GET', path: '/v1/files/{file}' },
  { method: 'DELETE', path: '/v1/files/{file}' },
  { method: 'GET', path: '/v1/files/{file}/content' },
  { method: 'POST', path: '/v1/batches', schema: BATCH },
  { method: 'GET', path: '/v1/batches' },
  { method: 'GET', path: '/v1/batches/{batch}' },
  { method: 'POST', path: '/v1/batches/{batch}/cancel' },
  { method: 'POST', path: '/v1/jobs', schema: JOB },
  { method: 'GET', path: '/v1/jobs' },
  { method: 'GET', path: '/v1/jobs/{job}' },
  { method: 'POST', path: '/v1/jobs/{job}/cancel' },
];
