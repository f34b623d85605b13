import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import path from 'node:path';

const root = path.resolve(import.meta.dirname, '..');

/** Brings what is built up to date with its source, so that no test passes on yesterday's bundle. */
export default function setUp() {
  process.env.CDK_VALIDATION = 'false';
  const built = path.join(root, 'dist', 'lib', 'index.js');
  if (!existsSync(built) || newest(path.join(root, 'lib')) > newest(path.join(root, 'dist', 'lib'))) {
    run('npm', ['run', '--silent', 'build:lib']);
  }
  run('npm', ['run', '--silent', 'build:bundles']);
}

function run(command, args) {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd: root, encoding: 'utf8' });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} failed:\n${stdout}\n${stderr}`);
}

/** Time of the newest file below a directory. */
function newest(directory) {
  return Math.max(
    ...readdirSync(directory, { recursive: true }).map((file) => statSync(path.join(directory, file)).mtimeMs),
  );
}
