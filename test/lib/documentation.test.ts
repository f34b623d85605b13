import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from '@jest/globals';

const root = path.resolve(__dirname, '../..');
const pages = [
  'README.md',
  ...readdirSync(path.join(root, 'docs'), { recursive: true }).map((file) => `docs/${file as string}`),
].filter((file) => file.endsWith('.md'));

describe('the documentation', () => {
  it('opens with an app that CI synthesises', () => {
    const example = readFileSync(path.join(root, 'examples/whole-app.ts'), 'utf8').replace(/^\/\*\*.*\*\/\n/, '');
    expect(readFileSync(path.join(root, 'README.md'), 'utf8')).toContain(`\`\`\`ts\n${example}\`\`\``);
  });

  it.each(pages)('%s links to what is there', (page) => {
    const text = readFileSync(path.join(root, page), 'utf8');
    for (const [, target] of text.matchAll(/\]\((?!https?:)([^)#]*)(?:#[^)]*)?\)/g)) {
      if (target !== '')
        expect([target, existsSync(path.resolve(root, path.dirname(page), target!))]).toEqual([target, true]);
    }
  });
});
