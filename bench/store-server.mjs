import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';

/** Starts a real store on a free port of the loopback, without persistence and with the policy of our ElastiCache. */
export async function startStore() {
  const program = ['valkey-server', 'redis-server'].find((name) => spawnSync(name, ['--version']).status === 0);
  if (!program) throw new Error('neither valkey-server nor redis-server is on PATH');
  const port = await freePort();
  const memory = ['--maxmemory', '256mb', '--maxmemory-policy', 'volatile-lru'];
  const child = spawn(program, ['--port', String(port), '--bind', '127.0.0.1', '--save', '', ...memory], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  for await (const text of child.stdout) if (/ready to accept connections/i.test(text)) break;
  return { url: `redis://127.0.0.1:${port}`, port, close: () => child.kill('SIGKILL') };
}

/** A port that nobody listens on at the moment. */
export async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}
