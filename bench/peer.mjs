import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';

/**
 * Installs a peer, in one exact version, below the system's temporary folder, so that it never becomes a dependency.
 * Returns how to resolve its modules. A second run finds it there.
 */
export function installPeer(name, version) {
  const folder = path.join(tmpdir(), `bench-peer-${name.replace(/\W+/g, '-')}-${version}`);
  mkdirSync(folder, { recursive: true });
  writeFileSync(
    path.join(folder, 'package.json'),
    JSON.stringify({ private: true, dependencies: { [name]: version } }),
  );
  const { status, stderr } = spawnSync('npm', ['install', '--no-audit', '--no-fund', '--ignore-scripts'], {
    cwd: folder,
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`npm install ${name}@${version}: ${stderr.slice(-2000)}`);
  const require = createRequire(path.join(folder, 'package.json'));
  return { require, folder: path.join(folder, 'node_modules', name) };
}
