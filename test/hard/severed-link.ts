import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

/** A link to a server that can be severed as a vanished host severs it: nothing arrives, and nothing says so. */
export interface SeverableLink {
  readonly port: number;
  /** Silences every connection there is; new ones go through. */
  sever(): void;
  close(): void;
}

/** Makes a link to a port of this machine. */
export async function linkTo(port: number): Promise<SeverableLink> {
  const pairs = new Set<[Socket, Socket]>();
  const server = createServer((client) => {
    const remote = connect(port, '127.0.0.1');
    pairs.add([client, remote]);
    client.pipe(remote).pipe(client);
    for (const socket of [client, remote]) socket.on('error', () => undefined);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    sever: () => {
      for (const [client, remote] of pairs) {
        client.unpipe(remote);
        remote.unpipe(client);
        client.resume();
      }
    },
    close: () => {
      for (const socket of [...pairs].flat()) socket.destroy();
      server.close();
    },
  };
}
