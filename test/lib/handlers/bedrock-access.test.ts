import { describe, expect, it } from '@jest/globals';
import { Match, Template } from 'aws-cdk-lib/assertions';
import { Token } from 'aws-cdk-lib';
import { CfnApplicationInferenceProfile } from 'aws-cdk-lib/aws-bedrock';
import { type BedrockModel, InferenceFunction, type InferencePolicy, ResponseCache } from '../../../lib';
import { givenVpc, newStack, POLICY } from '../synthesise';

const PARTITION = { Ref: 'AWS::Partition' };
const REGION = { Ref: 'AWS::Region' };
const ACCOUNT = { Ref: 'AWS::AccountId' };
const join = (...parts: unknown[]) => ({ 'Fn::Join': ['', parts] });

function policyWith(bedrock: BedrockModel): InferencePolicy {
  return { ...POLICY, backends: [{ name: 'gpu', bedrock }], models: [{ name: 'qwen3-8b', backends: ['gpu'] }] };
}

function templateWith(bedrock: BedrockModel | ((stack: ReturnType<typeof newStack>) => BedrockModel)): Template {
  const stack = newStack();
  const vpc = givenVpc(stack);
  const store = new ResponseCache(stack, 'Store', { vpc });
  const policy = policyWith(typeof bedrock === 'function' ? bedrock(stack) : bedrock);
  new InferenceFunction(stack, 'Inference', { policy, vpc, store });
  return Template.fromStack(stack);
}

/** What the function may do at Bedrock: resources, and under which condition. */
function permissions(template: Template): { Resource: unknown; Condition?: unknown }[] {
  const policies = Object.values(template.findResources('AWS::IAM::Policy'));
  return policies
    .flatMap(
      ({ Properties }) =>
        (Properties as { PolicyDocument: { Statement: Record<string, unknown>[] } }).PolicyDocument.Statement,
    )
    .filter(({ Action }) => JSON.stringify(Action).includes('bedrock:'))
    .map(({ Action, Effect, ...rest }) => {
      expect([Effect, Action]).toEqual(['Allow', ['bedrock:InvokeModel', 'bedrock:InvokeModelWithResponseStream']]);
      return rest as { Resource: unknown };
    });
}

const through = (arn: unknown) => ({ StringEquals: { 'bedrock:InferenceProfileArn': arn } });

describe('a function with a model of Bedrock behind it', () => {
  it('may call that foundation model, in its region, and nothing else', () => {
    expect(permissions(templateWith({ modelId: 'amazon.nova-lite-v1:0' }))).toEqual([
      { Resource: join('arn:', PARTITION, ':bedrock:', REGION, '::foundation-model/amazon.nova-lite-v1:0') },
    ]);
    expect(permissions(templateWith({ modelId: 'openai.gpt-oss-20b-1:0', region: 'us-west-2' }))).toEqual([
      { Resource: join('arn:', PARTITION, ':bedrock:us-west-2::foundation-model/openai.gpt-oss-20b-1:0') },
    ]);
    const arn = 'arn:aws:bedrock:eu-west-1::foundation-model/amazon.nova-lite-v1:0';
    expect(permissions(templateWith({ modelId: arn }))).toEqual([{ Resource: arn }]);
    const provisioned = 'arn:aws:bedrock:eu-west-1:111122223333:provisioned-model/abc';
    expect(permissions(templateWith({ modelId: provisioned }))).toEqual([{ Resource: provisioned }]);
  });

  it.each([
    ['eu', ['*']],
    ['apac', ['*']],
    ['us-gov', ['*']],
    ['global', ['*', '']],
  ])('may call an inference profile of %s, and its model in every region by way of that alone', (geography, places) => {
    const profile = join(
      'arn:',
      PARTITION,
      ':bedrock:',
      REGION,
      ':',
      ACCOUNT,
      `:inference-profile/${geography}.amazon.nova-lite-v1:0`,
    );
    const models = places.map((place) =>
      join('arn:', PARTITION, `:bedrock:${place}::foundation-model/amazon.nova-lite-v1:0`),
    );
    expect(permissions(templateWith({ modelId: `${geography}.amazon.nova-lite-v1:0` }))).toEqual([
      { Resource: profile },
      { Resource: models.length === 1 ? models[0] : models, Condition: through(profile) },
    ]);
  });

  it('may call an inference profile by its ARN', () => {
    const arn = 'arn:aws:bedrock:us-east-1:111122223333:inference-profile/us.amazon.nova-lite-v1:0';
    expect(permissions(templateWith({ modelId: arn }))).toEqual([
      { Resource: arn },
      {
        Resource: join('arn:', PARTITION, ':bedrock:*::foundation-model/amazon.nova-lite-v1:0'),
        Condition: through(arn),
      },
    ]);
  });

  it('may call an inference profile of the account, whose models only Bedrock knows', () => {
    const arn = 'arn:aws:bedrock:us-east-1:111122223333:application-inference-profile/abc';
    expect(permissions(templateWith({ modelId: arn }))).toEqual([
      { Resource: arn },
      { Resource: join('arn:', PARTITION, ':bedrock:*::foundation-model/*'), Condition: through(arn) },
    ]);
  });

  it('is told at deployment what is known only then', () => {
    const template = templateWith((stack) => ({
      modelId: new CfnApplicationInferenceProfile(stack, 'Profile', {
        inferenceProfileName: 'backup',
        modelSource: { copyFrom: 'arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-lite-v1:0' },
      }).attrInferenceProfileArn,
      region: Token.asString({ Ref: 'BedrockRegion' }),
    }));
    const arn = { 'Fn::GetAtt': ['Profile', 'InferenceProfileArn'] };
    expect(permissions(template)).toEqual([
      { Resource: arn },
      { Resource: join('arn:', PARTITION, ':bedrock:*::foundation-model/*'), Condition: through(arn) },
    ]);
    template.hasResourceProperties('AWS::Lambda::Function', {
      Description: 'Serves inference requests',
      Environment: {
        Variables: {
          BEDROCK_MODELS: join('{"gpu":{"modelId":"', arn, '","region":"', { Ref: 'BedrockRegion' }, '"}}'),
          BACKENDS: Match.absent(),
        },
      },
    });
    template.hasResource('AWS::Lambda::LayerVersion', {
      Metadata: { InferencePolicy: { backends: [{ name: 'gpu', bedrock: {} }] } },
    });
  });

  it('reaches out by HTTPS, by one rule', () => {
    const egress = (template: Template) =>
      Object.values(
        template.findResources('AWS::EC2::SecurityGroup', {
          Properties: { GroupDescription: 'Serves inference requests' },
        }),
      ).flatMap(
        ({ Properties }) => (Properties as { SecurityGroupEgress: { FromPort: number }[] }).SecurityGroupEgress,
      );
    expect(egress(templateWith({ modelId: 'amazon.nova-lite-v1:0' }))).toEqual([
      expect.objectContaining({ FromPort: 443, ToPort: 443, CidrIp: '0.0.0.0/0' }),
    ]);
    const stack = newStack();
    const vpc = givenVpc(stack);
    const { backends } = policyWith({ modelId: 'amazon.nova-lite-v1:0' });
    const policy = { ...POLICY, backends: [...backends, { name: 'backup', url: 'https://models.example.com' }] };
    new InferenceFunction(stack, 'Inference', { policy, vpc, store: new ResponseCache(stack, 'Store', { vpc }) });
    expect(egress(Template.fromStack(stack)).map(({ FromPort }) => FromPort)).toEqual([443]);
  });

  it('needs no endpoint, and takes none', () => {
    const stack = newStack();
    const vpc = givenVpc(stack);
    const store = new ResponseCache(stack, 'Store', { vpc });
    const policy = policyWith({ modelId: 'amazon.nova-lite-v1:0' });
    expect(
      () => new InferenceFunction(stack, 'Inference', { policy, vpc, store, endpoints: { gpu: {} as never } }),
    ).toThrow('backends "gpu" has both bedrock in the policy and an entry in endpoints: give one of them');
  });
});
