import { createHash } from 'node:crypto';
import { decodeJwt, jwtVerify } from 'jose';
import type { ResolvedIssuer, ResolvedPolicy } from '../../lib/policy/defaults';
import type { Tenant } from '../../lib/policy/policy';
import type { KeyOwner } from './authorize';
import { IssuerKeys, type IssuerKeysPorts, IssuerUnavailable } from './issuer-keys';

/** Who a token was made for. */
export interface TokenOwner extends KeyOwner {
  /** The value of the tenant's usage key, by which API Gateway counts. */
  readonly usageKey: string;
  /** When the token stops to open anything, in milliseconds since 1970; the clock tolerance is part of it. */
  readonly expiresAt: number;
  /** Stands for issuer and subject in logs: the same for the same caller, and no name. */
  readonly principal?: string;
}

/** Checks a token; undefined for one that opens nothing, an error where nobody can tell. */
export type VerifyToken = (token: string) => Promise<TokenOwner | undefined>;

/** Whose tokens count, and for whom. */
export interface TokenRules extends Pick<ResolvedPolicy, 'issuers' | 'tenants'> {
  /** What the values of usage keys begin with, before the tenant's name. */
  readonly usageKeyPrefix: string;
}

/** What the verification needs from outside. */
export interface TokenPorts extends IssuerKeysPorts {
  /** Told why a token was refused, which the client is not; never the token nor a claim's value. */
  readonly onRefused: (reason: string) => void;
}

/**
 * Asymmetric signatures only: with HMAC, whoever knows the issuer's public keys could sign. RFC 9864 calls Ed25519 by its
 * own name, most issuers by EdDSA.
 */
const ALGORITHMS = [
  ...['RS256', 'RS384', 'RS512'],
  ...['PS256', 'PS384', 'PS512'],
  ...['ES256', 'ES384', 'ES512'],
  ...['EdDSA', 'Ed25519'],
];

/** How far the issuer's clock and ours may be apart. */
const CLOCK_TOLERANCE_SECONDS = 30;

/** Hexadecimal digits of a principal: 64 bits, so that two of a million callers share one at odds of 1 to 37 million. */
const PRINCIPAL_DIGITS = 16;

interface TrustedIssuer extends ResolvedIssuer {
  readonly keys: IssuerKeys;
}

/** Verifies tokens of the policy's issuers. Nothing that a token says leads to an address. */
export function tokenVerifier(rules: TokenRules, ports: TokenPorts): VerifyToken {
  const issuers = new Map(
    rules.issuers.map((issuer): [string, TrustedIssuer] => [
      issuer.issuer,
      { ...issuer, keys: new IssuerKeys(issuer, ports) },
    ]),
  );
  const tenants = new Map<unknown, Tenant>(rules.tenants.map((tenant) => [tenant.name, tenant]));

  const ownerOf = async (token: string): Promise<TokenOwner> => {
    const issuer = issuers.get(decodeJwt(token).iss ?? '');
    if (!issuer) throw new Error('"iss" is no issuer of the policy');
    const { payload } = await jwtVerify(token, issuer.keys.pick, {
      algorithms: ALGORITHMS,
      issuer: issuer.issuer,
      audience: issuer.audience,
      requiredClaims: ['exp'],
      clockTolerance: CLOCK_TOLERANCE_SECONDS,
      currentDate: new Date(ports.now()),
    });
    const tenant = tenants.get(payload[issuer.tenantClaim]);
    if (!tenant) throw new Error(`"${issuer.tenantClaim}" names no tenant of the policy`);
    return {
      tenant: tenant.name,
      plan: tenant.plan,
      usageKey: `${rules.usageKeyPrefix}${tenant.name}`,
      expiresAt: (payload.exp! + CLOCK_TOLERANCE_SECONDS) * 1000,
      ...(typeof payload.sub === 'string' && { principal: principalOf(issuer.issuer, payload.sub) }),
    };
  };

  return async (token) => {
    try {
      return await ownerOf(token);
    } catch (error) {
      if (error instanceof IssuerUnavailable) throw error;
      ports.onRefused((error as Error).message);
      return undefined;
    }
  };
}

function principalOf(issuer: string, subject: string): string {
  return createHash('sha256').update(`${issuer}\n${subject}`, 'utf8').digest('hex').slice(0, PRINCIPAL_DIGITS);
}
