import type { ResolvedWork } from '../../../lib/policy/pipeline/pipeline-defaults';
import type { DataRecord } from '../reading/source-record';

type NormaliseWork = Extract<ResolvedWork, { kind: 'normalise' }>;

/** What takes no room and means nothing: controls, zero-width spaces, byte order marks, soft hyphens. */
const INVISIBLE = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f\u00ad\u200b\u2060\ufeff]/g;

/** A line of nothing but images that are links: badges. */
const BADGES = /^(?:\[!\[[^\]]*\](?:\([^)]*\)|\[[^\]]*\])\](?:\([^)]*\)|\[[^\]]*\])\s*)+$/;

const CODE_FENCE = /^ {0,3}(?:```|~~~)/;

/** Gives the record with its text fields in one form: Unicode, line ends, white space, no boilerplate. */
export function normaliseRecord(
  record: DataRecord,
  { fields, unicode, boilerplate }: Omit<NormaliseWork, 'kind'>,
): DataRecord {
  const dropped = new Set(boilerplate.map((line) => line.trim().normalize(unicode)));
  const changed = fields.map((field) => [field, normaliseText(record[field] as string, unicode, dropped)]);
  return { ...record, ...(Object.fromEntries(changed) as DataRecord) };
}

/** White space within a line is kept: in code and tables it means something. */
function normaliseText(text: string, form: string, boilerplate: ReadonlySet<string>): string {
  const lines: string[] = [];
  let inCode = false;
  for (const raw of text
    .normalize(form)
    .replace(INVISIBLE, '')
    .split(/\r\n?|[\n\u2028\u2029]/)) {
    const line = raw.replace(/\u00a0/g, ' ').trimEnd();
    if (CODE_FENCE.test(line)) inCode = !inCode;
    const isBoilerplate = !inCode && (boilerplate.has(line.trim()) || (line.startsWith('[![') && BADGES.test(line)));
    if (isBoilerplate) continue;
    // Two empty lines say no more than one.
    if (line === '' && (lines.length === 0 || (lines.at(-1) === '' && !inCode))) continue;
    lines.push(line);
  }
  while (lines.at(-1) === '') lines.pop();
  return lines.join('\n');
}
