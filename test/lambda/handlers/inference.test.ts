import { spawn } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { pathToFileURL } from 'node:url';
import { describe, expect, it } from '@jest/globals';
import { startEmbeddedStore } from '../../../bin/start/embedded-store';
import { CREDENTIALS, startBedrock } from '../bedrock-server';

const HANDLER = resolve(__dirname, '../../../dist/handlers/inference/index.mjs');

/** As much of Lambda as one streamed answer needs: what the handler writes, after its status, goes to the output. */
const RUNTIME = `
  import { PassThrough } from 'node:stream';
  globalThis.awslambda = {
    streamifyResponse: (handler) => handler,
    HttpResponseStream: { from: (stream, { statusCode }) => (stream.write(statusCode + ' '), stream) },
  };
  const { handler } = await import('${pathToFileURL(HANDLER).href}');
  const stream = new PassThrough();
  let answer = '';
  stream.on('data', (part) => (answer += part));
  await handler(JSON.parse(process.env.EVENT), stream);
  process.stderr.write(answer, () => process.exit());`;

/** Invokes the built handler in a process of its own. */
async function invoke(environment: Record<string, string>): Promise<string> {
  const child = spawn(process.execPath, ['--input-type=module', '-e', RUNTIME], { env: environment });
  return text(child.stderr);
}

describe('the built inference function', () => {
  it('calls Bedrock in its region, with the credentials of its role', async () => {
    const region = 'eu-central-1';
    const bedrock = await startBedrock(region, (response) => {
      const message = { role: 'assistant', content: [{ text: 'From Bedrock' }] };
      response.end(JSON.stringify({ output: { message }, stopReason: 'end_turn' }));
    });
    const store = await startEmbeddedStore();
    const folder = mkdtempSync(join(tmpdir(), 'inference-'));
    const policy = {
      plans: [{ name: 'standard', requestsPerMinute: 60, tokensPerMinute: 10_000 }],
      tenants: [{ name: 'acme', plan: 'standard' }],
      backends: [{ name: 'backup', bedrock: {} }],
      models: [{ name: 'llama', backends: ['backup'] }],
    };
    writeFileSync(join(folder, 'policy.json'), JSON.stringify(policy));
    const answer = await invoke({
      POLICY_FILE: join(folder, 'policy.json'),
      STORE_URL: store.url,
      STORE_TIMEOUT_MS: '2000',
      AWS_REGION: region,
      AWS_ACCESS_KEY_ID: CREDENTIALS.accessKeyId,
      AWS_SECRET_ACCESS_KEY: CREDENTIALS.secretAccessKey,
      AWS_SESSION_TOKEN: CREDENTIALS.sessionToken,
      AWS_ENDPOINT_URL_BEDROCK_RUNTIME: bedrock.url,
      BEDROCK_MODELS: '{"backup":{"modelId":"arn:aws:bedrock:eu-central-1:1:application-inference-profile/x"}}',
      EVENT: JSON.stringify({
        httpMethod: 'POST',
        path: '/v1/chat/completions',
        headers: {},
        body: JSON.stringify({ model: 'llama', messages: [{ role: 'user', content: 'Hello' }] }),
        isBase64Encoded: false,
        requestContext: { requestId: 'request-1', authorizer: { tenant: 'acme', plan: 'standard' } },
      }),
    });
    expect(answer).toMatch(/^200 \{"id":"chatcmpl-request-1".*"content":"From Bedrock"/);
    expect(bedrock.paths).toEqual([
      '/model/arn%3Aaws%3Abedrock%3Aeu-central-1%3A1%3Aapplication-inference-profile%2Fx/converse',
    ]);
    await Promise.all([bedrock.close(), store.close()]);
  });
});
