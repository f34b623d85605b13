/** Tenants whose users bring tokens: of a user pool of the same app, and of a company's own Okta. API keys work beside. */
import { App, Stack } from 'aws-cdk-lib';
import * as cognito from 'aws-cdk-lib/aws-cognito';
import { InferencePlatform } from 'cdk-inference-platform';

const app = new App();
const stack = new Stack(app, 'Inference');

// Users are made by an administrator, who also says to which tenant they belong; they cannot change it.
const pool = new cognito.UserPool(stack, 'Customers', {
  selfSignUpEnabled: false,
  customAttributes: { tenant: new cognito.StringAttribute({ mutable: false }) },
  signInAliases: { email: true },
  passwordPolicy: {
    minLength: 12,
    requireDigits: true,
    requireLowercase: true,
    requireUppercase: true,
    requireSymbols: true,
  },
  mfa: cognito.Mfa.REQUIRED,
  mfaSecondFactor: { otp: true, sms: false },
  featurePlan: cognito.FeaturePlan.PLUS,
  standardThreatProtectionMode: cognito.StandardThreatProtectionMode.FULL_FUNCTION,
});
const client = pool.addClient('Cli', { authFlows: { userSrp: true } });

new InferencePlatform(stack, 'Platform', {
  policy: {
    plans: [{ name: 'standard', requestsPerMinute: 600, tokensPerMinute: 200_000 }],
    tenants: [
      { name: 'acme', plan: 'standard' },
      { name: 'research', plan: 'standard' },
    ],
    backends: [{ name: 'gpu' }],
    models: [{ name: 'qwen3-8b', backends: ['gpu'] }],
    issuers: [
      // The pool's ID tokens: they carry custom attributes, and the client's id as `aud`.
      { issuer: pool.userPoolProviderUrl, audience: client.userPoolClientId, tenantClaim: 'custom:tenant' },
      // Access tokens of a custom authorization server, to which a claim `tenant` was added.
      { issuer: 'https://acme.okta.com/oauth2/default', audience: 'api://inference' },
    ],
  },
  fleets: { gpu: { modelServer: { model: 'Qwen/Qwen3-8B' } } },
});
