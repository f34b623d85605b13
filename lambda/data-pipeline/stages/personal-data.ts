import { isIPv4, isIPv6 } from 'node:net';

/** Lengths of IBANs by country: SWIFT's IBAN registry, release 99. */
const IBAN_LENGTHS: Readonly<Record<string, number>> = Object.fromEntries(
  (
    'AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 DO28 EE20 EG29 ES24 ' +
    'FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32 ' +
    'LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 PL28 PS29 PT25 QA29 RO24 ' +
    'RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 YE30'
  )
    .split(' ')
    .map((entry) => [entry.slice(0, 2), Number(entry.slice(2))]),
);

/** How long the IBAN at the start of a text is, spaces included; 0 where none stands there. */
export function startOfIban(text: string): number {
  const length = IBAN_LENGTHS[text.slice(0, 2)];
  if (length === undefined) return 0;
  let characters = 0;
  let end = 0;
  while (end < text.length && characters < length) {
    if (text[end] !== ' ') characters++;
    end++;
  }
  if (characters < length || /[A-Z0-9]/.test(text[end] ?? '')) return 0;
  return hasValidChecksum(text.slice(0, end).replaceAll(' ', '')) ? end : 0;
}

/** ISO 7064, mod 97-10. */
function hasValidChecksum(iban: string): boolean {
  let remainder = 0;
  for (const character of iban.slice(4) + iban.slice(0, 4)) {
    const value = parseInt(character, 36);
    remainder = (remainder * (value > 9 ? 100 : 10) + value) % 97;
  }
  return remainder === 1;
}

/** Whether the digits are a card number: a length and first digits that issuers use, and a valid check digit (Luhn). */
export function isCardNumber(text: string): boolean {
  const digits = text.replace(/\D/g, '');
  if (digits.length < 13 || digits.length > 19) return false;
  const two = Number(digits.slice(0, 2));
  const four = Number(digits.slice(0, 4));
  const isIssued =
    /^[456]/.test(digits) || [34, 37, 35, 36, 38, 39, 30].includes(two) || (four >= 2221 && four <= 2720);
  if (!isIssued || /^(\d)\1+$/.test(digits)) return false;
  let sum = 0;
  for (let i = 0; i < digits.length; i++) {
    const digit = Number(digits[digits.length - 1 - i]);
    const doubled = i % 2 === 1 ? digit * 2 : digit;
    sum += doubled > 9 ? doubled - 9 : doubled;
  }
  return sum % 10 === 0;
}

/** Whether the digits can be a telephone number: 8 to 15 with a country code (E.164), or a North American one. */
export function isPhoneNumber(text: string): boolean {
  const digits = text.replace(/\D/g, '');
  if (text.startsWith('+')) return digits.length >= 8 && digits.length <= 15 && !digits.startsWith('0');
  // Neither the area nor the exchange begins with 0 or 1.
  return /^[2-9]\d{2}[2-9]\d{6}$/.test(digits);
}

/** Whether the text is the address of some machine; the loopback and unspecified addresses name none. */
export function isIpAddress(text: string): boolean {
  if (isIPv4(text)) return !/^(?:0|127)\./.test(text);
  // Scopes of a programming language, such as C::D, have the form too; an address has a long group, or many.
  const groups = text.split(/:+/).filter((group) => group !== '');
  const isLikely = /\d/.test(text) && (groups.length >= 4 || groups.some((group) => group.length >= 3));
  return isLikely && isIPv6(text) && !/^[0:]+[01]?$/.test(text);
}
