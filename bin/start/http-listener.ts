import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { UserError } from '../user-error';

/** A server on 127.0.0.1: a local run is no service for the network. */
export interface HttpListener {
  /** `http://127.0.0.1:<port>`. */
  readonly url: string;
  readonly server: Server;
  /** Stops listening and ends every connection at once. */
  close(): Promise<void>;
}

/**
 * Listens on 127.0.0.1.
 *
 * @param port 0 for any free port
 * @throws UserError where the port is not to be had
 */
export async function listenLocally(port: number, onRequest: RequestListener): Promise<HttpListener> {
  const server = createServer(onRequest);
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => reject(portError(error, port))).listen(port, '127.0.0.1', resolve);
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    server,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function portError(error: NodeJS.ErrnoException, port: number): Error {
  if (error.code === 'EADDRINUSE')
    return new UserError(`port ${port} is taken: choose another with --port, or 0 for any`);
  if (error.code === 'EACCES') return new UserError(`port ${port} may not be used: choose one above 1023 with --port`);
  return error;
}
