/** TLS to a provider: its own authority, and nothing older than TLS 1.3 (section 10.1). */
import { isIP } from 'node:net';
import { connect, type ConnectionOptions } from 'node:tls';
import type { TLSSocket } from 'node:tls';
import { hostAndPort } from '../../kit/host-name.js';
import { errorCodeOrText, errorCode } from '../../kit/error-text.js';
import type { HostAndPort, SessionCertificate } from '../model.js';
import { TransportError } from './transport-error.js';

/**
 * Options of every TLS connection to a provider. Only its own authority counts, not those of the system: a
 * certificate of another authority for the same name is refused. The certificate must also have the name or address
 * that was dialled: the same authority signs the certificates of sessions, and without this rule any customer could
 * pose as a gate. Throws a TransportError (`unsupported`) when the provider has no authority.
 * @param ca certificates, PEM
 * @param certificate of the session, where the gate asks for one
 */
export function providerTls(
  ca: readonly string[],
  host: string,
  certificate?: SessionCertificate,
): ConnectionOptions {
  if (ca.length === 0) {
    throw new TransportError(
      'unsupported',
      'the provider describes no certificate authority, so its TLS cannot be checked: choose another gate',
    );
  }
  return {
    ca: [...ca],
    minVersion: 'TLSv1.3',
    rejectUnauthorized: true,
    // RFC 6066: the name of a server is never an address.
    ...(isIP(host) === 0 ? { servername: host } : {}),
    ...(certificate === undefined ? {} : { key: certificate.key, cert: certificate.certificate }),
  };
}

/** Codes of Node and OpenSSL for a certificate that is not the provider's. */
const IDENTITY = /CERT|SIGNATURE|ISSUER|ALTNAME|CA_/;

/** Why TLS with the gate failed. */
export function tlsFault(cause: Error, at: HostAndPort): TransportError {
  const where = hostAndPort(at.host, at.port);
  const code = errorCode(cause) ?? '';
  if (IDENTITY.test(code)) {
    return new TransportError(
      'identity',
      `${where} has no certificate of the provider's authority for this name (${code})`,
      { cause },
    );
  }
  if (code.startsWith('ERR_SSL')) {
    return new TransportError('protocol', `${where} does not speak TLS 1.3 (${code})`, { cause });
  }
  return new TransportError('unreachable', `cannot reach ${where} (${errorCodeOrText(cause)})`, {
    cause,
  });
}

/** Connects; the stream is ready for the first byte. Rejects with a TransportError. */
export function connectTls(
  at: HostAndPort,
  ca: readonly string[],
  signal: AbortSignal,
  certificate?: SessionCertificate,
): Promise<TLSSocket> {
  // Node knows allowHalfOpen here; its types do not.
  const options = { ...providerTls(ca, at.host, certificate), ...at, allowHalfOpen: true };
  return new Promise((resolve, reject) => {
    const socket = connect(options);
    const stop = (): void => {
      socket.destroy();
      reject(new TransportError('aborted', 'connecting was cancelled', { cause: signal.reason }));
    };
    const settled = (): void => {
      signal.removeEventListener('abort', stop);
      socket.off('error', failed);
    };
    const failed = (cause: Error): void => {
      settled();
      socket.destroy();
      reject(tlsFault(cause, at));
    };
    socket.on('error', () => {});
    socket.once('error', failed);
    socket.once('close', () => failed(new Error('it closed the connection')));
    socket.once('secureConnect', () => {
      settled();
      socket.setNoDelay(true);
      resolve(socket);
    });
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
  });
}
