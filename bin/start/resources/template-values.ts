import { isIntrinsic } from '../template';

/** What a resource is known by, once it is there: its `Ref`, and its attributes by name. */
export interface ResourceValues {
  readonly ref: string;
  readonly attributes: Readonly<Record<string, string>>;
}

/** Pseudo parameters of a local run. */
const PSEUDO: Readonly<Record<string, string>> = {
  'AWS::AccountId': '000000000000',
  'AWS::Partition': 'aws',
  'AWS::Region': 'us-east-1',
  'AWS::StackId': 'arn:aws:cloudformation:us-east-1:000000000000:stack/local/00000000-0000-0000-0000-000000000000',
  'AWS::URLSuffix': 'amazonaws.com',
};

/**
 * Works out a value of the template from the resources that are there: `Ref`, `Fn::GetAtt`, `Fn::Join` of such, and a part of
 * one by `Fn::Select` and `Fn::Split`.
 *
 * @returns undefined where it takes something else to know it
 */
export function resolveValue(value: unknown, resources: ReadonlyMap<string, ResourceValues>): string | undefined {
  if (!isIntrinsic(value)) return String(value);
  const {
    Ref: ref,
    'Fn::GetAtt': attribute,
    'Fn::Join': join,
    'Fn::Select': selected,
  } = value as Readonly<Record<string, unknown>>;
  if (typeof ref === 'string') return resources.get(ref)?.ref ?? PSEUDO[ref];
  if (Array.isArray(attribute)) return resources.get(String(attribute[0]))?.attributes[String(attribute[1])];
  if (Array.isArray(selected)) {
    const [index, { 'Fn::Split': split } = {}] = selected as [unknown, Readonly<Record<string, unknown>>?];
    if (!Array.isArray(split)) return undefined;
    return resolveValue(split[1], resources)?.split(String(split[0]))[Number(index)];
  }
  if (!Array.isArray(join) || !Array.isArray(join[1])) return undefined;
  const parts = join[1].map((part) => resolveValue(part, resources));
  return parts.includes(undefined) ? undefined : parts.join(String(join[0]));
}
