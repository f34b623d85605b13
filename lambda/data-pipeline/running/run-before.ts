import type { Pointer } from '../storage';
import { type Manifest, manifestKey } from '../versions/manifest';
import type { Publication, VersionPorts } from '../versions/publish';

/** Whether a version is what a run makes. */
type IsOfRun = (manifest: Manifest) => boolean;

/**
 * Finds the version of a run whose staging is gone: another one was at work on the same at the same time, and came first; or a
 * step that was carried out, and not heard of, is taken again.
 *
 * @throws where the run has published none
 */
export async function versionBefore(
  run: string,
  isOfRun: IsOfRun,
  { store, pointers }: VersionPorts,
): Promise<{ readonly version: string; readonly manifest: Manifest }> {
  const found = await find(await pointers.history(), isOfRun, store);
  if (!found) throw new Error(`there is no run ${run}`);
  return found;
}

/**
 * What the publishing came to of a run whose staging is gone.
 *
 * @param sequence sequence number of the pointer when the run began, 0 for none
 * @throws where it has published nothing since
 */
export async function publicationBefore(
  run: string,
  sequence: number,
  isOfRun: IsOfRun,
  { store, pointers }: VersionPorts,
): Promise<Publication> {
  // With the one that was current when the run began: a run that changes nothing is published already.
  const since = (await pointers.history()).filter((pointer) => pointer.sequence >= sequence);
  const found = await find(since, isOfRun, store);
  if (!found) throw new Error(`the run ${run} has no audited version to publish`);
  const { version } = found;
  const current = since.at(-1)!;
  return version === current.version
    ? { outcome: 'unchanged', version }
    : { outcome: 'overtaken', version, by: current.version };
}

async function find(pointers: readonly Pointer[], isOfRun: IsOfRun, store: VersionPorts['store']) {
  for (const version of new Set([...pointers].reverse().map((pointer) => pointer.version))) {
    // Retention may have taken a version that was published long since.
    const bytes = await store.get(manifestKey(version));
    if (!bytes) continue;
    const manifest = JSON.parse(bytes.toString('utf8')) as Manifest;
    if (isOfRun(manifest)) return { version, manifest };
  }
  return undefined;
}
