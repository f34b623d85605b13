import { describe, expect, it } from '@jest/globals';
import { addressesOf, bedrockTargets } from '../../../lambda/backends/bedrock-models';
import { BedrockApi } from '../../../lib/policy/backend';
import { backend } from '../policy';

const NOVA = { modelId: 'amazon.nova-lite-v1:0' };
const AWS_REGION = 'eu-west-1';

describe('the models of Bedrock', () => {
  it('are called in the region of the function, or in their own', () => {
    const backends = [
      backend({ name: 'here', bedrock: NOVA }),
      backend({ name: 'there', bedrock: { ...NOVA, region: 'us-east-1', api: BedrockApi.OPENAI } }),
      backend({ name: 'china', bedrock: { ...NOVA, region: 'cn-north-1' } }),
      backend({ name: 'gpu' }),
    ];
    const targets = bedrockTargets({ AWS_REGION }, backends);
    expect(targets).toMatchObject({
      here: { ...NOVA, api: 'converse', region: 'eu-west-1' },
      there: { ...NOVA, api: 'openai', region: 'us-east-1' },
    });
    expect(addressesOf(targets)).toEqual({
      here: { url: 'https://bedrock-runtime.eu-west-1.amazonaws.com' },
      there: { url: 'https://bedrock-runtime.us-east-1.amazonaws.com' },
      china: { url: 'https://bedrock-runtime.cn-north-1.amazonaws.com.cn' },
    });
  });

  it('may be known since the deployment only, and stand behind another address', () => {
    const { modelId: _, ...unknown } = NOVA;
    const backends = [backend({ bedrock: unknown as typeof NOVA })];
    const environment = {
      AWS_REGION,
      BEDROCK_MODELS: '{"first":{"modelId":"arn:aws:bedrock:eu-west-1:1:application-inference-profile/x"}}',
      AWS_ENDPOINT_URL_BEDROCK_RUNTIME: 'https://vpce-1.bedrock-runtime.eu-west-1.vpce.amazonaws.com',
    };
    expect(bedrockTargets(environment, backends)).toEqual({
      first: {
        modelId: 'arn:aws:bedrock:eu-west-1:1:application-inference-profile/x',
        api: 'converse',
        region: 'eu-west-1',
        origin: 'https://vpce-1.bedrock-runtime.eu-west-1.vpce.amazonaws.com',
      },
    });
    expect(() => bedrockTargets({ AWS_REGION }, backends)).toThrow('the backend first has no modelId');
    expect(() => bedrockTargets({}, [backend({ bedrock: NOVA })])).toThrow('AWS_REGION must be set');
  });

  it('are none where the deployment gives the backend an address', () => {
    const BACKENDS = '{"first":{"url":"http://127.0.0.1:1"}}';
    expect(bedrockTargets({ AWS_REGION, BACKENDS }, [backend({ bedrock: NOVA })])).toEqual({});
  });
});
