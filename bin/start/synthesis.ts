import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { App, Stack } from 'aws-cdk-lib';
import type { Template } from './template';

/** A stack synthesised to a temporary directory. */
export interface Synthesis<T = unknown> {
  /** What was built. */
  readonly built: T;
  readonly template: Template;
  /** The directory that an asset was made from, by the `S3Key` that the template gives it. */
  assetDirectory(s3Key: unknown): string;
  /** Removes the temporary directory. */
  remove(): void;
}

interface AssetManifest {
  readonly files: Readonly<
    Record<
      string,
      {
        readonly source: { readonly path: string };
        readonly destinations: Readonly<Record<string, { readonly objectKey: string }>>;
      }
    >
  >;
}

const STACK = 'LocalRun';

/**
 * Synthesises what `build` puts into a stack, in this process, without credentials and without network.
 *
 * Skipped, since `cdk synth` does it and it would cost most of the start: the templates' validation, the construct
 * tree's metadata.
 */
export function synthesise<T>(build: (stack: Stack) => T): Synthesis<T> {
  process.env.CDK_VALIDATION ??= 'false';
  const outdir = mkdtempSync(join(tmpdir(), 'inference-local-run-'));
  const app = new App({ outdir, analyticsReporting: false, treeMetadata: false });
  const built = build(new Stack(app, STACK));
  app.synth();

  const read = (file: string): unknown => JSON.parse(readFileSync(join(outdir, file), 'utf8'));
  const { files } = read(`${STACK}.assets.json`) as AssetManifest;
  const sources = new Map(
    Object.values(files).flatMap(({ source, destinations }) =>
      Object.values(destinations).map(({ objectKey }) => [objectKey, join(outdir, source.path)] as const),
    ),
  );
  return {
    built,
    template: read(`${STACK}.template.json`) as Template,
    assetDirectory: (s3Key) => {
      const directory = typeof s3Key === 'string' ? sources.get(s3Key) : undefined;
      if (!directory) throw new Error(`the template's asset ${JSON.stringify(s3Key)} is not in the assets manifest`);
      return directory;
    },
    remove: () => {
      rmSync(outdir, { recursive: true, force: true });
    },
  };
}
