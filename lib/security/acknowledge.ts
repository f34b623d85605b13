import { type CfnResource, Stack, Validations } from 'aws-cdk-lib';
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

/**
 * Id of cdk-nag's finding on a permission whose resource has a wildcard.
 *
 * @param scope a construct of the stack in which the permission stands
 * @param arn the resource, tokens and all
 */
export function wildcardFinding(scope: IConstruct, arn: string): string {
  return `AwsSolutions-IAM5[Resource::${flat(Stack.of(scope).resolve(arn))}]`;
}

/** A resolved ARN as cdk-nag spells it in the ids of its findings. */
function flat(value: unknown): string {
  if (typeof value === 'string') return value;
  const { Ref, ...node } = value as { Ref?: string; 'Fn::GetAtt'?: string[]; 'Fn::Join'?: [string, unknown[]] };
  if (Ref !== undefined) return `<${Ref}>`;
  if (node['Fn::GetAtt']) return `<${node['Fn::GetAtt'].join('.')}>`;
  const [delimiter, items] = node['Fn::Join'] ?? ['', [JSON.stringify(value)]];
  return items.map(flat).join(delimiter);
}
