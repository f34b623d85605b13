/** A synthesised CloudFormation template, as far as a local run reads it. */
export interface Template {
  readonly Resources: Readonly<Record<string, TemplateResource>>;
}

export interface TemplateResource {
  readonly Type: string;
  readonly Properties?: Readonly<Record<string, unknown>>;
}

/** Resources of one type, with their logical ids. */
export function resourcesOf(template: Template, type: string): [id: string, properties: Record<string, unknown>][] {
  return Object.entries(template.Resources)
    .filter(([, resource]) => resource.Type === type)
    .map(([id, resource]) => [id, resource.Properties ?? {}]);
}

/** Logical ids that a value refers to, by `Ref` or `Fn::GetAtt`, however deep inside other intrinsics. */
export function referencesIn(value: unknown): string[] {
  if (Array.isArray(value)) return value.flatMap(referencesIn);
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]: [string, unknown]) => {
    if (key === 'Ref' && typeof inner === 'string') return [inner];
    if (key === 'Fn::GetAtt' && Array.isArray(inner)) return [String(inner[0])];
    return referencesIn(inner);
  });
}

/** The one logical id that a value refers to. */
export function referenceIn(value: unknown): string | undefined {
  return referencesIn(value)[0];
}

/** Whether a value is known only at deployment. */
export function isIntrinsic(value: unknown): boolean {
  return typeof value === 'object' && value !== null;
}
