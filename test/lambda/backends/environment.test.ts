import { describe, expect, it } from '@jest/globals';
import { resolvePolicy } from '../../../lib/policy/defaults';
import { backendAddresses } from '../../../lambda/backends/environment';

const { backends } = resolvePolicy({
  plans: [],
  tenants: [],
  models: [],
  backends: [{ name: 'fleet' }, { name: 'elsewhere', url: 'https://models.example.com' }, { name: 'nowhere' }],
});

describe('the addresses of backends', () => {
  it('come from the deployment before the policy, and may be missing', () => {
    const BACKENDS = '{"fleet":{"url":"https://balancer","serverName":"model-endpoint.internal"}}';
    expect(backendAddresses({ BACKENDS }, backends)).toEqual({
      fleet: { url: 'https://balancer', serverName: 'model-endpoint.internal' },
      elsewhere: { url: 'https://models.example.com' },
    });
  });

  it('trust the certificates of the deployment for endpoints inside the network, and for nothing else', () => {
    const addresses = backendAddresses(
      {
        BACKENDS: '{"fleet":{"url":"https://balancer","serverName":"model-endpoint.internal"}}',
        TRUSTED_CERTIFICATES: '-----BEGIN CERTIFICATE-----',
      },
      backends,
    );
    expect(addresses.fleet).toMatchObject({ ca: '-----BEGIN CERTIFICATE-----' });
    expect(addresses.elsewhere).not.toHaveProperty('ca');
  });
});
