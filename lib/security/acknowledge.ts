import { type CfnResource, Validations } from 'aws-cdk-lib';
import type { IConstruct } from 'constructs';

/**
 * Acknowledges validation findings on the narrowest scope, each with a reason that a security reviewer would accept.
 *
 * The constructs do this themselves, so that a user's own cdk-nag run stays clean. `docs/security/acknowledgements.md`
 * lists them all; a test keeps it complete.
 *
 * @param scope the construct whose findings these are
 * @param findings finding id to reason
 */
export function acknowledge(scope: IConstruct, findings: Record<string, string>): void {
  Validations.of(scope).acknowledge(...Object.entries(findings).map(([id, reason]) => ({ id, reason })));
}

/**
 * Acknowledges findings of cfn-lint on one resource. The linter reads them from the resource's metadata.
 *
 * @param resource the resource, of a construct whose default child it is
 * @param findings rule id to reason
 */
export function acknowledgeLint(resource: IConstruct, findings: Record<string, string>): void {
  (resource.node.defaultChild as CfnResource).addMetadata('cfn-lint', {
    config: { ignore_checks: Object.keys(findings) },
    reasons: findings,
  });
}
