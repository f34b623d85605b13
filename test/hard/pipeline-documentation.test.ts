import { isUtf8 } from 'node:buffer';
import { readdirSync, readFileSync, realpathSync, rmSync, statSync, writeFileSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import policy from '../../bin/policy.json';
import type { Manifest } from '../../lambda/data-pipeline/versions/manifest';
import type { QuarantineEntry } from '../../lambda/data-pipeline/running/shard-output';
import { CliProcess, type RunningPlatform, startPlatform } from '../end-to-end/processes';
import golden from './documentation-questions.json';
import { report } from './report';

const MODULES = realpathSync(join(__dirname, '../../node_modules'));

/** What documentation is called in packages: text by its ending, and files that are known by their name alone. */
const ENDINGS = [
  ...['.md', '.mdx', '.markdown', '.txt', '.rst', '.adoc'],
  ...['license', 'licence', 'license-mit', 'license.bsd', 'notice', 'readme', 'changelog', 'third_party_licenses'],
];

const MOST_BYTES = 2_097_152;
const RESULTS = 5;

/**
 * The share of the questions whose page is found at the least. The gateway's stub embeds by the words of a text, whatever
 * their meaning: questions in other words than the page's are missed, as they are by any such model. The floor is that of
 * the model, not of the pipeline.
 */
const LEAST_RECALL = 0.75;

const KEY = { OPENAI_API_KEY: 'sk-local-pipeline' };

jest.setTimeout(600_000);

/** The documentation that there is, found without the pipeline's help, and how much of it is no text. */
function documentation(directory = MODULES, name = ''): { files: string[]; unreadable: string[] } {
  const found = { files: [] as string[], unreadable: [] as string[] };
  for (const entry of readdirSync(directory)) {
    const path = join(directory, entry);
    const stat = statSync(path, { throwIfNoEntry: false });
    if (stat?.isDirectory()) {
      const inner = documentation(path, `${name}${entry}/`);
      found.files.push(...inner.files);
      found.unreadable.push(...inner.unreadable);
    } else if (stat?.isFile() && ENDINGS.some((ending) => entry.toLowerCase().endsWith(ending))) {
      found.files.push(name + entry);
      const content = readFileSync(path);
      const isText = isUtf8(content) && !content.includes(0) && content.toString('utf8').trim() !== '';
      if (!isText || stat.size > MOST_BYTES) found.unreadable.push(name + entry);
    }
  }
  return found;
}

describe('the whole documentation of our own dependencies', () => {
  const root = mkdtempSync(join(tmpdir(), 'pipeline-documentation-'));
  const { files, unreadable } = documentation();
  const place = ['--config', join(root, 'pipeline.json'), '--output', join(root, 'out')];
  let platform: RunningPlatform;
  let endpoint: string;
  let run: CliProcess;
  let seconds: number;
  let version: string;

  beforeAll(async () => {
    const plan = {
      name: 'ingest',
      requestsPerMinute: 100_000,
      tokensPerMinute: 1_000_000_000,
      parallelRequests: 8,
      maxTokensPerRequest: 100_000,
    };
    const tenant = { name: 'pipeline', plan: 'ingest', keys: [KEY.OPENAI_API_KEY] };
    const example = JSON.parse(readFileSync(join(__dirname, '../../examples/documentation-pipeline.json'), 'utf8')) as {
      source: object;
    };
    writeFileSync(
      join(root, 'policy.json'),
      JSON.stringify({ ...policy, plans: [...policy.plans, plan], tenants: [...policy.tenants, tenant] }),
    );
    writeFileSync(
      join(root, 'pipeline.json'),
      JSON.stringify({
        ...example,
        source: { format: 'document', endings: ENDINGS, mostRecordBytes: MOST_BYTES },
        retrieval: { results: RESULTS, goldenSet: 'golden.jsonl', leastRecall: LEAST_RECALL },
      }),
    );
    writeFileSync(join(root, 'golden.jsonl'), golden.map((each) => `${JSON.stringify(each)}\n`).join(''));
    platform = await startPlatform(['--policy', join(root, 'policy.json')]);
    endpoint = platform.baseUrl.replace(/\/v1$/, '');
    const started = performance.now();
    run = new CliProcess(['pipeline', 'run', ...place, '--input', MODULES, '--endpoint', endpoint], KEY);
    await run.exitCode();
    seconds = (performance.now() - started) / 1000;
    [version = ''] = /version +([0-9a-f]{32}) {2}published/.exec(run.output)?.slice(1) ?? [];
  });

  afterAll(async () => {
    await platform.process.end();
    rmSync(root, { recursive: true, force: true });
  });

  it('is read, chunked, embedded through the local gateway and published: each file, and none besides', async () => {
    expect([await run.exitCode(), run.errors]).toEqual([0, '']);
    expect(readdirSync(join(root, 'out/documentation/versions'))).toEqual([`${version}.json`]);
    const manifest = JSON.parse(
      readFileSync(join(root, `out/documentation/versions/${version}.json`), 'utf8'),
    ) as Manifest;
    const { counts, stages, shards } = manifest;
    expect(files.length).toBeGreaterThan(1000);
    expect(counts.read).toBe(files.length);
    const faultsOfReading = Object.values(manifest.reading).reduce((sum, count) => sum + count, 0);
    expect(faultsOfReading).toBe(unreadable.length);
    expect(stages[0]!.in).toBe(files.length - unreadable.length);
    expect(counts.published).toBe(stages.at(-1)!.out);
    expect(counts.published).toBeGreaterThan(files.length);
    // Every page that could be read is there by at least one of its pieces, or set aside for having nothing but headings.
    const linesOf = ({ sha256 }: { readonly sha256: string }) =>
      readFileSync(join(root, 'out/documentation/objects', sha256.slice(0, 2), sha256), 'utf8')
        .split('\n')
        .filter((line) => line !== '');
    const pages = new Set<string>();
    const setAside: QuarantineEntry[] = [];
    for (const { origins, quarantine } of shards) {
      for (const line of linesOf(origins)) pages.add((JSON.parse(line) as [string])[0]);
      setAside.push(...linesOf(quarantine).map((line) => JSON.parse(line) as QuarantineEntry));
    }
    const empty = setAside.filter(({ stage }) => stage === 'chunk');
    expect(new Set(empty.map(({ reason }) => reason))).toEqual(new Set(['has no text beside headings']));
    const expected = files.filter((file) => !unreadable.includes(file));
    expect([...pages, ...empty.map(({ file }) => file)].sort()).toEqual(expected.sort());
    expect(setAside).toHaveLength(empty.length + unreadable.length);
    report('documentation', {
      files: files.length,
      unreadable: unreadable.length,
      pieces: counts.published,
      quarantined: counts.quarantined,
      seconds: Math.round(seconds),
    });
  });

  it(`is found: of ${golden.length} questions the page is among the first ${RESULTS} answers`, async () => {
    const [recall = ''] = /answers, recall ([\d.]+) %/.exec(run.output)?.slice(1) ?? [];
    expect(Number(recall)).toBeGreaterThanOrEqual(LEAST_RECALL * 100);
    const { query, uri } = golden.find((each) => each.uri === 'jsonata/README.md')!;
    const asked = new CliProcess(['pipeline', 'query', ...place, '--endpoint', endpoint, '--results', '1', query], KEY);
    expect([await asked.exitCode(), asked.errors]).toEqual([0, '']);
    expect(asked.output).toContain(uri);
    report('documentation found', {
      questions: golden.length,
      recallAt5: `${recall} %`,
      model: 'bag of words, hashed',
      firstAnswer: asked.output.split('\n')[0],
    });
  });

  it('is the same version when it is run again, without a vector asked for twice', async () => {
    const again = new CliProcess(
      ['pipeline', 'run', ...place, '--input', MODULES, '--endpoint', 'http://127.0.0.1:9'],
      KEY,
    );
    expect([await again.exitCode(), again.errors]).toEqual([0, '']);
    expect(again.output).toContain(`version       ${version}  published already, nothing has changed`);
  });
});
