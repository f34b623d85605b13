import { connect, isIP, type Socket } from 'node:net';
import { connect as connectTls, createSecureContext, type SecureContext } from 'node:tls';
import { BackendConnection, type Owner, type Reading } from './backend-connection';

/** Where a backend is, as known at deployment. */
export interface BackendAddress {
  readonly url: string;
  /** Name in the backend's certificate, where it is not that of the address. */
  readonly serverName?: string;
  /** PEM of the authority, or of the certificate itself, that the backend is trusted by; else the public authorities. */
  readonly ca?: string;
}

/** Kept connections beyond this many are closed, as by Node's own agent. */
const MOST_KEPT = 256;

/** A dead host is noticed after so long, where nothing is sent. */
const KEEP_ALIVE_DELAY_MS = 1000;

/** The connections to one backend. The one that was used last is used next, so that those that are not needed age. */
export class ConnectionPool implements Owner {
  private readonly kept: BackendConnection[] = [];
  private readonly isSecure: boolean;
  private readonly host: string;
  private readonly port: number;
  private context: SecureContext | undefined;
  /** Of the last TLS connection, with which the next is made in one round trip less. */
  private session: Buffer | undefined;

  constructor(
    private readonly address: BackendAddress,
    base: URL,
  ) {
    this.isSecure = base.protocol === 'https:';
    // An IPv6 address stands in brackets there, and a socket takes it without.
    this.host = base.hostname.replace(/^\[(.*)\]$/, '$1');
    this.port = Number(base.port) || (this.isSecure ? 443 : 80);
  }

  /** A connection for one call: a kept one, or where there is none, or it must be `fresh`, a new one. */
  public take({ fresh }: { readonly fresh: boolean }): BackendConnection {
    while (!fresh) {
      const connection = this.kept.pop();
      if (!connection) break;
      if (connection.isKept) return connection;
      connection.destroy();
    }
    return new BackendConnection(
      (reading) => (this.isSecure ? this.openSecure(reading) : this.open(reading)),
      this.isSecure ? 'secureConnect' : 'connect',
      this,
    );
  }

  /** {@inheritDoc Owner.free} */
  public free(connection: BackendConnection): void {
    if (this.kept.length < MOST_KEPT) this.kept.push(connection);
    else connection.destroy();
  }

  /** {@inheritDoc Owner.gone} */
  public gone(connection: BackendConnection): void {
    const at = this.kept.indexOf(connection);
    if (at >= 0) this.kept.splice(at, 1);
  }

  private open(reading: Reading): Socket {
    return connect({ ...this.options(), onread: reading });
  }

  private openSecure(reading: Reading): Socket {
    const { serverName, ca } = this.address;
    const name = serverName ?? (isIP(this.host) === 0 ? this.host : undefined);
    this.context ??= createSecureContext(ca === undefined ? {} : { ca });
    const { session } = this;
    // Of `onread`, Node's documentation of tls.connect tells; its types do not.
    const options = {
      ...this.options(),
      onread: reading,
      secureContext: this.context,
      ALPNProtocols: ['http/1.1'],
      ...(name !== undefined && { servername: name }),
      ...(session && { session }),
    };
    return (
      connectTls(options)
        .on('session', (next) => (this.session = next))
        // A session that may have led to the fault is not tried again.
        .on('error', () => (this.session = undefined))
    );
  }

  private options() {
    const { host, port } = this;
    return { host, port, noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_DELAY_MS };
  }
}
