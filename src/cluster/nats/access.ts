/** The client library of NATS, and the options of a connection with it. */
import { basename, dirname } from 'node:path';
import { checkServerIdentity, type PeerCertificate } from 'node:tls';
import { fileURLToPath } from 'node:url';
import type {
  ConnectionOptions,
  connect,
  credsAuthenticator,
  nkeyAuthenticator,
} from '@nats-io/transport-node';
import { hostAndPort } from '../../kit/host-name.js';
import { ClusterError } from '../api.js';

/** How a node reaches its NATS servers, and identifies itself to them. */
export interface NatsAccess {
  /** One that answers is used. IPv6 addresses have no brackets. */
  readonly servers: readonly { readonly host: string; readonly port: number }[];
  /** Only with TLS. Without it, TLS is used where a server asks for it. */
  readonly tls: boolean;
  /** Shown by the server's monitoring. */
  readonly name: string;
  readonly credentials?:
    | { readonly kind: 'creds'; readonly text: string }
    | { readonly kind: 'nkey'; readonly seed: string }
    | { readonly kind: 'password'; readonly user: string; readonly password: string }
    | undefined;
  /** PEM; trusted in place of the system's certificates. */
  readonly ca?: string | undefined;
  /** The client certificate, PEM. */
  readonly certificate?: { readonly certificate: string; readonly key: string } | undefined;
}

/** What is used of the library. */
export interface NatsLibrary {
  readonly connect: typeof connect;
  readonly credsAuthenticator: typeof credsAuthenticator;
  readonly nkeyAuthenticator: typeof nkeyAuthenticator;
}

/** Version 3.4.0 depends on a package that needs Node.js 22; this program runs on 20. */
const PACKAGE = '@nats-io/transport-node@3.3.1';

/**
 * The command that installs the library beside onionmc, where Node.js finds it, too: an update of onionmc replaces
 * its own packages.
 * @param root the folder of onionmc
 */
export function installCommand(root: string): string {
  const above = dirname(root);
  const isDependency = basename(above) === 'node_modules';
  const prefix = isDependency ? dirname(above) : above;
  if (isDependency && basename(prefix) === 'lib') return `npm install --global ${PACKAGE}`;
  return `npm install --prefix ${/^[\w./+-]+$/.test(prefix) ? prefix : JSON.stringify(prefix)} ${PACKAGE}`;
}

/** `src/cluster/nats` and `dist/cluster/nats` are both three levels below it. */
const ownRoot = (): string =>
  fileURLToPath(new URL('../../..', import.meta.url)).replace(/\/$/, '');

/** Loads the library. Rejects with a ClusterError that has the command to install it. */
export async function loadNats(): Promise<NatsLibrary> {
  try {
    return await import('@nats-io/transport-node');
  } catch (error) {
    throw new ClusterError(
      `[CLUSTER] needs the package @nats-io/transport-node, which is not installed. Fix: ${installCommand(ownRoot())}`,
      { cause: error },
    );
  }
}

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

function identity(
  { credentials }: NatsAccess,
  library: NatsLibrary,
): Pick<ConnectionOptions, 'authenticator' | 'user' | 'pass'> {
  switch (credentials?.kind) {
    case undefined:
      return {};
    case 'creds':
      return { authenticator: library.credsAuthenticator(bytes(credentials.text)) };
    case 'nkey':
      return { authenticator: library.nkeyAuthenticator(bytes(credentials.seed)) };
    case 'password':
      return { user: credentials.user, pass: credentials.password };
  }
}

/**
 * The library compares the certificate of a server that is given by its address with `localhost`. So here: the
 * certificate must be for one of the configured servers.
 */
function identityCheck(
  servers: NatsAccess['servers'],
): (name: string, certificate: PeerCertificate) => Error | undefined {
  return (_name, certificate) => {
    const faults = servers.map(({ host }) => checkServerIdentity(host, certificate));
    return faults.includes(undefined) ? undefined : faults[0];
  };
}

/** The part of a connection's options that says where and as whom. */
export function accessOptions(access: NatsAccess, library: NatsLibrary): ConnectionOptions {
  const { servers, tls, ca, certificate } = access;
  const options = {
    checkServerIdentity: identityCheck(servers),
    ...(ca === undefined ? {} : { ca }),
    ...(certificate === undefined ? {} : { cert: certificate.certificate, key: certificate.key }),
  };
  return {
    servers: servers.map(({ host, port }) => hostAndPort(host, port)),
    name: access.name,
    // A server that another server names could be elsewhere, and without TLS.
    ignoreClusterUpdates: true,
    ...(tls ? { tls: options } : {}),
    ...identity(access, library),
  };
}
