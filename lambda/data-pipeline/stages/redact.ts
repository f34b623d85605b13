import { PersonalData } from '../../../lib/policy';
import type { ResolvedWork } from '../../../lib/policy/pipeline/pipeline-defaults';
import type { DataRecord } from '../reading/source-record';
import { isCardNumber, isIpAddress, isPhoneNumber, startOfIban } from './personal-data';
import type { Findings } from './work';

type RedactWork = Extract<ResolvedWork, { kind: 'redact' }>;

/** How one kind is found: by its form, then by what the form cannot say. */
interface Finder {
  readonly kind: PersonalData;
  /** Takes time in proportion to the text: no repetition stands beside another of the same characters. */
  readonly form: RegExp;
  /** How much of a match is of the kind: its length, or 0. */
  readonly lengthOf: (match: string) => number;
}

const whole = (holds: (match: string) => boolean) => (match: string) => (holds(match) ? match.length : 0);
const always = whole(() => true);

/** Forms that services have published, each with a prefix that nothing else has. */
const API_KEYS = [
  '(?:AKIA|ASIA)[0-9A-Z]{16}',
  'gh[pousr]_[A-Za-z0-9]{36,251}',
  'github_pat_[A-Za-z0-9_]{22,255}',
  'glpat-[A-Za-z0-9_-]{20,64}',
  'xox[abeoprs]-[A-Za-z0-9-]{10,250}',
  'AIza[0-9A-Za-z_-]{35}',
  '(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{16,250}',
  'sk-[A-Za-z0-9_-]{20,250}',
  'hf_[A-Za-z0-9]{30,64}',
  'npm_[A-Za-z0-9]{36}',
  'eyJ[A-Za-z0-9_-]{10,4096}\\.eyJ[A-Za-z0-9_-]{10,4096}\\.[A-Za-z0-9_-]{10,4096}',
].join('|');

/** In this order: what one has replaced, the next does not see. */
const FINDERS: readonly Finder[] = [
  {
    kind: PersonalData.API_KEY,
    form: new RegExp(
      `-----BEGIN [A-Z ]{0,24}PRIVATE KEY-----(?:[A-Za-z0-9+/=\\s:,]|-(?!----)){0,16384}-----END [A-Z ]{0,24}PRIVATE KEY-----|(?<![A-Za-z0-9_-])(?:${API_KEYS})(?![A-Za-z0-9_])`,
      'g',
    ),
    lengthOf: always,
  },
  {
    kind: PersonalData.EMAIL,
    form: /(?<![\w.+-])[\p{L}\p{N}_.%+'-]{1,64}@(?:[\p{L}\p{N}](?:[\p{L}\p{N}-]{0,61}[\p{L}\p{N}])?\.){1,8}[\p{L}]{2,24}(?![\w@])/gu,
    lengthOf: always,
  },
  { kind: PersonalData.IBAN, form: /(?<![A-Za-z0-9])[A-Z]{2}\d{2}(?: ?[A-Z0-9]){11,34}/g, lengthOf: startOfIban },
  {
    kind: PersonalData.CREDIT_CARD,
    form: /(?<![\d.,+-])[2-6]\d{3}(?:[ -]?\d){9,15}(?![\d-])/g,
    lengthOf: whole(isCardNumber),
  },
  {
    kind: PersonalData.PHONE,
    form: /(?<![\w+.-])(?:\+\d(?:[ ().-]{0,2}\d){7,14}|\(\d{3}\) ?\d{3}[ .-]\d{4}|\d{3}[ .-]\d{3}[ .-]\d{4})(?![\w-]|\.\d)/g,
    lengthOf: whole(isPhoneNumber),
  },
  {
    kind: PersonalData.IP_ADDRESS,
    form: /(?<![\w.:])(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9A-Fa-f:]{2,39}(?:\d{1,3}(?:\.\d{1,3}){3})?)(?![\w:]|\.\d)/g,
    lengthOf: whole(isIpAddress),
  },
];

/** Gives the record with personal data in its text fields replaced, such as `[EMAIL]`, and counts each kind. */
export function redactRecord(
  record: DataRecord,
  { fields, kinds }: Omit<RedactWork, 'kind'>,
  findings: Findings,
): DataRecord {
  const changed = fields.map((field) => [field, redactText(record[field] as string, kinds, findings)]);
  return { ...record, ...(Object.fromEntries(changed) as DataRecord) };
}

/** The text with each thing of the given kinds replaced by the name of its kind. */
export function redactText(text: string, kinds: readonly PersonalData[], findings: Findings): string {
  let redacted = text;
  for (const { kind, form, lengthOf } of FINDERS) {
    if (!kinds.includes(kind)) continue;
    const mark = `[${kind.replace(/[A-Z]/g, ' $&').toUpperCase()}]`;
    redacted = redacted.replace(form, (match) => {
      const length = lengthOf(match);
      if (length === 0) return match;
      findings[kind] = (findings[kind] ?? 0) + 1;
      return mark + match.slice(length);
    });
  }
  return redacted;
}
