import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { PersonalData, UnicodeForm } from '../../../lib/policy';
import { chunkDocument, tokensOf } from '../../../lambda/data-pipeline/stages/chunk';
import { normaliseRecord } from '../../../lambda/data-pipeline/stages/normalise';
import { parseDocument } from '../../../lambda/data-pipeline/stages/parse';
import { redactText } from '../../../lambda/data-pipeline/stages/redact';

const ALL = Object.values(PersonalData);

describe('parse', () => {
  it.each([
    ['a.md', '---\ntitle: "The title"\n---\n# Other\n\ntext', 'The title', '# Other\n\ntext'],
    ['a.md', '```\n# not this\n```\n# **The** [title](x) ![i](y) #\n', 'The title', undefined],
    ['a.md', 'The title\n=========\ntext', 'The title', undefined],
    ['a.txt', '\n ---- \n  The title\nmore', 'The title', undefined],
    ['a.md', '---\n', 'a.md', undefined],
    ['a.txt', `${'x'.repeat(199)}😀`, 'x'.repeat(199), undefined],
    ['a.md', `# ${'*'.repeat(999)}😀`, 'a.md', undefined],
  ])('finds the title of %s', (uri, text, title, body) => {
    expect(parseDocument({ uri, text }, { frontMatter: true })).toEqual({
      uri,
      text: body ?? text,
      title,
      mediaType: uri.endsWith('.md') ? 'text/markdown' : 'text/plain',
    });
  });
});

describe('normalise', () => {
  const settings = { fields: ['text'], unicode: UnicodeForm.NFC, boilerplate: ['All rights reserved.'] };
  const normalise = (text: string) => normaliseRecord({ text, id: 1 }, settings).text as string;

  it('gives what looks the same the same bytes, and drops what nobody reads', () => {
    expect(normalise('Zu\u0308rich\u00ad  \r\n\r\n\r\n\u200bx\ufeff\n')).toBe('Zürich\n\nx');
    expect(
      normalise('[![a](b)](c) [![d](e)](f)\nText\n  All rights reserved. \n```\n\n\nAll rights reserved.\n```'),
    ).toBe('Text\n```\n\n\nAll rights reserved.\n```');
  });

  it('changes nothing the second time', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (text) => {
        const once = normalise(text);
        expect(normalise(once)).toBe(once);
      }),
    );
  });
});

describe('chunk', () => {
  const settings = { mostTokens: 32, overlapTokens: 8 };

  it.each([
    ['white space', `a${' '.repeat(200_000)}b`],
    ['a heading of white space', `#${' '.repeat(200_000)}\u2028x`],
    ['empty lines', `a${'\n'.repeat(200_000)}b`],
    ['one word', 'x'.repeat(200_000)],
  ])('takes time in proportion to a text of %s', (_, text) => {
    const { user } = process.cpuUsage();
    parseDocument({ uri: 'x.md', text }, { frontMatter: true });
    chunkDocument({ uri: 'x.md', text: `a\n\n${text}` }, { mostTokens: 8192, overlapTokens: 8 });
    expect((process.cpuUsage().user - user) / 1000).toBeLessThan(2000);
  });

  const paragraph = fc.lorem({ mode: 'sentences', maxCount: 4 });
  const block = fc.oneof(
    paragraph,
    fc.lorem({ maxCount: 3 }).map((title) => `## ${title}`),
    fc.array(fc.lorem({ maxCount: 3 }), { maxLength: 6 }).map((lines) => `\`\`\`\n${lines.join('\n')}\n\`\`\``),
    fc.string({ unit: 'grapheme', minLength: 1, maxLength: 300 }),
  );
  const documents = fc.array(block, { minLength: 1, maxLength: 12 }).map((blocks) => blocks.join('\n\n'));

  it('keeps every word of the text in a piece within the budget, with an id of its own', () => {
    fc.assert(
      fc.property(fc.array(paragraph, { minLength: 1, maxLength: 12 }), (paragraphs) => {
        const pieces = chunkDocument(
          { uri: 'x.md', text: paragraphs.join('\n\n'), mediaType: 'text/markdown' },
          settings,
        );
        const words = new Set(pieces.flatMap(({ text }) => (text as string).split(/\s+/)));
        for (const word of paragraphs.join(' ').split(/\s+/)) expect(words).toContain(word);
      }),
    );
    fc.assert(
      fc.property(
        documents.filter((text) => /^[^#\s`]/m.test(text)),
        (text) => {
          let pieces: ReturnType<typeof chunkDocument> = [];
          try {
            pieces = chunkDocument({ uri: 'x.md', text, mediaType: 'text/markdown' }, settings);
          } catch (error) {
            expect((error as Error).message).toBe('has no text beside headings');
          }
          for (const { text: piece, tokens } of pieces) {
            expect(tokensOf(piece as string)).toBe(tokens);
            expect(tokens).toBeLessThanOrEqual(settings.mostTokens);
            // No character is cut in two.
            expect(piece as string).not.toMatch(/\p{Surrogate}/u);
          }
          expect(new Set(pieces.map(({ id }) => id)).size).toBe(pieces.length);
        },
      ),
    );
  });

  it('puts the headings above a piece beside it, and never joins what stands under two', () => {
    const text = '# A\n\none\n\n## B\n\ntwo\n\n# C\n\nthree';
    const pieces = chunkDocument({ uri: 'x.md', text, mediaType: 'text/markdown', title: 'A' }, settings);
    expect(pieces.map(({ heading, text: piece, position, title }) => [heading, piece, position, title])).toEqual([
      ['A', 'one', 0, 'A'],
      ['A > B', 'two', 1, 'A'],
      ['C', 'three', 2, 'A'],
    ]);
  });

  it('repeats whole sentences of the piece before, and carries none over a heading', () => {
    const sentences = Array.from({ length: 12 }, (_, i) => `Sentence number ${i} is here.`);
    const pieces = chunkDocument({ uri: 'x.txt', text: sentences.join(' '), mediaType: 'text/plain' }, settings);
    expect(pieces.length).toBeGreaterThan(2);
    pieces.slice(1).forEach(({ text }, i) => {
      const first = (text as string).split(/(?<=\.) /)[0]!;
      expect(pieces[i]!.text as string).toContain(first);
    });
  });

  it('keeps the ids of the other pieces where one part of a document changes', () => {
    const text = (middle: string) => `# A\n\nfirst part\n\n# B\n\n${middle}\n\n# C\n\nlast part`;
    const ids = (middle: string) => chunkDocument({ uri: 'x.md', text: text(middle) }, settings).map(({ id }) => id);
    const [before, after] = [ids('old'), ids('new and longer')];
    expect([after[0], after[2]]).toEqual([before[0], before[2]]);
    expect(after[1]).not.toBe(before[1]);
    expect(chunkDocument({ uri: 'y.md', text: text('old') }, settings)[0]!.id).not.toBe(before[0]);
  });
});

describe('redact', () => {
  const redact = (text: string) => redactText(text, ALL, {});

  it.each([
    ['mail jane.doe+x@mail.example.co.uk now', 'mail [EMAIL] now'],
    ['call +41 44 668 18 00 or (212) 555-0123.', 'call [PHONE] or [PHONE].'],
    ['card 4111 1111 1111 1111, 5500-0000-0000-0004', 'card [CREDIT CARD], [CREDIT CARD]'],
    ['pay to CH93 0076 2011 6238 5295 7 AND more', 'pay to [IBAN] AND more'],
    ['DE89370400440532013000', '[IBAN]'],
    ['from 203.0.113.7 and 2001:db8::8a2e:370:7334', 'from [IP ADDRESS] and [IP ADDRESS]'],
    ['key AKIAIOSFODNN7EXAMPLE and ghp_abcdefghijklmnopqrstuvwxyz0123456789', 'key [API KEY] and [API KEY]'],
    ['-----BEGIN RSA PRIVATE KEY-----\nMIIE+/=\n-----END RSA PRIVATE KEY-----', '[API KEY]'],
  ])('finds %s', (text, redacted) => {
    expect(redact(text)).toBe(redacted);
  });

  it.each([
    'card 4111 1111 1111 1112 has a wrong check digit',
    'DE88370400440532013000 has a wrong checksum',
    'version 1.2.3.4.5, date 2024-01-02, time 12:34:56, ratio 16:9',
    'call me at 5pm, order 12345678, pi 3.14159265358979',
    '127.0.0.1, 0.0.0.0, ::1, 256.1.1.1, C::D in C++ and std::vector',
    'npm install @scope/package, user@host, a@b',
    'sk-short and eyJnot.a.token',
    '0000 0000 0000 0000',
  ])('leaves alone: %s', (text) => {
    expect(redact(text)).toBe(text);
  });

  it('counts each kind, and looks for no other than asked', () => {
    const findings = {};
    expect(redactText('a@b.ch c@d.ch 203.0.113.7', [PersonalData.EMAIL], findings)).toBe('[EMAIL] [EMAIL] 203.0.113.7');
    expect(findings).toEqual({ email: 2 });
  });

  it('takes no longer on a text that was made to slow it down', () => {
    const hostile = [
      'a'.repeat(200_000),
      '1 '.repeat(100_000),
      'a@'.repeat(100_000),
      'a.'.repeat(100_000),
      '(123) '.repeat(40_000),
      'f:'.repeat(100_000),
      '-----BEGIN PRIVATE KEY-----'.repeat(2000),
      `x@${'a-'.repeat(100_000)}`,
      'CH93'.repeat(50_000),
      '+1'.repeat(100_000),
    ];
    for (const text of hostile) {
      const started = process.cpuUsage();
      redact(text);
      expect(process.cpuUsage(started).user).toBeLessThan(2_000_000);
    }
  });
});
