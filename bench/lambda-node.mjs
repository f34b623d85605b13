import path from 'node:path';
import { installPeer } from './peer.mjs';

/** A Node.js of the major version that the functions run on, since times differ between versions. */
export function lambdaNode() {
  if (process.versions.node.startsWith('24.')) return process.execPath;
  // npm's package `node` is a script that fetches this one.
  return path.join(installPeer(`node-${process.platform}-${process.arch}`, '24.21.0').folder, 'bin/node');
}
