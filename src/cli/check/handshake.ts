/** A TLS handshake with a replica, as the API server would do it. */

import type { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import type { Duplex } from 'node:stream';
import { connect } from 'node:tls';
import { call } from '../../cluster/client.ts';

export interface Handshake {
  /** What is served; it may be expired, or for another name. */
  readonly certificate: X509Certificate;
  /** Why the API server would end the connection; undefined: it would not. */
  readonly distrust: string | undefined;
}

/**
 * @param server its name for messages
 * @param connection is closed afterwards
 * @param name that the certificate has to be valid for: a DNS name or an address
 * @param bundle of CAs to trust, in PEM. Empty: those of the system, as with the API server.
 * @throws Error when there is no response, or it is not TLS
 */
export async function shakeHands(server: string, connection: Duplex, name: string, bundle: string): Promise<Handshake> {
  const done = new Promise<Handshake>((resolve, reject) => {
    const socket = connect({
      socket: connection,
      // Node takes the name to be checked from host; an address is no servername.
      host: name,
      ...(isIP(name) ? {} : { servername: name }),
      ...(bundle === '' ? {} : { ca: bundle }),
      // In Go, every certificate of the bundle is an anchor, not only roots.
      allowPartialTrustChain: true,
      // An untrusted server is examined too; nothing is sent.
      rejectUnauthorized: false,
    });
    socket.once('secureConnect', () => {
      const certificate = socket.getPeerX509Certificate();
      const { authorized, authorizationError } = socket;
      if (!certificate) reject(new Error('it showed no certificate'));
      else resolve({ certificate, distrust: authorized ? undefined : messageOf(authorizationError) });
      socket.destroy();
    });
    socket.on('error', reject);
    connection.on('error', reject);
    connection.once('close', () => reject(new Error('the connection was closed')));
  });
  try {
    return await call(`shake hands with ${server}`, done);
  } finally {
    connection.destroy();
  }
}

/** Declared as an Error; OpenSSL's verdicts are codes. */
function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
