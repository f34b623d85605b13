import Ajv, { type ErrorObject, type ValidateFunction } from 'ajv';

/** Returns what is wrong with a body, or undefined. */
export type BodyCheck = (body: string) => string | undefined;

/** Compiles a method's request models: JSON schema of draft 4, as API Gateway takes it. */
export function bodyChecks(schemas: ReadonlyMap<string, object>): ReadonlyMap<string, BodyCheck> {
  const ajv = new Ajv({ allErrors: true, strict: false });
  return new Map(
    [...schemas].map(([contentType, schema]) => {
      const validate = ajv.compile(fromDraft4(schema) as object);
      return [contentType, (body: string) => check(validate, body)] as const;
    }),
  );
}

function check(validate: ValidateFunction, body: string): string | undefined {
  if (body.trim() === '') return '[the body is empty: it must be JSON]';
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    return '[the body is not valid JSON]';
  }
  if (validate(value)) return undefined;
  return `[${(validate.errors ?? []).map(describe).join(', ')}]`;
}

function describe({ instancePath, message }: ErrorObject): string {
  return `${instancePath ? `${instancePath} ` : ''}${message ?? 'is invalid'}`;
}

/** Draft 4 differs from what ajv knows in the name of `$id`, and in exclusive bounds: there a flag, here a number. */
function fromDraft4(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(fromDraft4);
  if (typeof schema !== 'object' || schema === null) return schema;
  const { $schema: _dialect, id, ...rest } = schema as Record<string, unknown>;
  const current: Record<string, unknown> =
    typeof id === 'string' ? { $id: id, ...rest } : { ...rest, ...(id ? { id } : {}) };
  for (const [flag, bound] of [
    ['exclusiveMinimum', 'minimum'],
    ['exclusiveMaximum', 'maximum'],
  ] as const) {
    if (typeof current[flag] !== 'boolean') continue;
    if (current[flag]) {
      current[flag] = current[bound];
      delete current[bound];
    } else {
      delete current[flag];
    }
  }
  return Object.fromEntries(Object.entries(current).map(([key, value]) => [key, fromDraft4(value)]));
}
