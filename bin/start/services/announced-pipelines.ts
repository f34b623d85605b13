import { existsSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { activeIndex } from '../../../lambda/data-pipeline/retrieval/switch-index';
import { FilePointers } from '../../pipeline/file-pointers';
import type { AnnouncedPipeline } from '../announcement';
import type { LocalServices } from './local-services';

/** Where `pipeline run` publishes to, unless it is told otherwise. */
export const DEFAULT_WORKSPACE = 'pipeline.out';

/** The pipelines that answer, with what of them is published at the moment. */
export function announcedPipelines(
  { dataPipelines }: LocalServices,
  { workspace, files }: { readonly workspace?: string; readonly files: Readonly<Record<string, string>> },
): Promise<AnnouncedPipeline[]> {
  return Promise.all(
    Object.values(dataPipelines).map(async ({ backend = '', tenant, definition: { name } }) => {
      const active = await activeIndex(new FilePointers(join(workspace ?? DEFAULT_WORKSPACE, name, 'indexes')));
      return {
        ...{ backend, name, config: files[backend] ?? referenceConfig() },
        ...(workspace !== undefined && { output: workspace }),
        ...(tenant !== undefined && { tenant }),
        ...(active && { version: active.version }),
      };
    }),
  );
}

/** How this program is called from a shell: by its name where it is installed, by its file in a checkout. */
export function programName(): string {
  const root = packageRoot();
  if (root.split(sep).includes('node_modules')) return 'npx cdk-inference-platform';
  return `node ${relative(process.cwd(), join(root, 'dist', 'bin', 'cli.js'))}`;
}

/** The definition of the reference pipeline, as the package brings it. */
function referenceConfig(): string {
  return relative(process.cwd(), join(packageRoot(), 'examples', 'documentation-pipeline.json'));
}

/** The nearest directory above that holds package.json. */
function packageRoot(): string {
  let directory = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(directory, 'package.json'))) directory = dirname(directory);
  return directory;
}
