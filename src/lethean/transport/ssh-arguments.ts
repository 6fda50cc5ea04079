/** How `ssh` is started, and what its last words mean. Pure. */
import { shownLine } from '../../kit/shown-text.js';
import { TransportError, type TransportFault } from './transport-error.js';

export interface SshFiles {
  readonly knownHosts: string;
  readonly key: string;
  readonly certificate: string | undefined;
  /** The unix socket on which ssh offers SOCKS. */
  readonly socket: string;
}

export interface SshPlace {
  readonly host: string;
  readonly port: number;
  readonly user: string;
}

/** Seconds between signs of life, and how many may be missing. */
export interface SshAlive {
  readonly seconds: number;
  readonly count: number;
}

/**
 * The arguments: no file of the user or the system, no agent, no questions, no other forwarding. `ProxyCommand=-`
 * makes ssh use its standard input and output as the connection, so it ends when this process does.
 * Throws a TransportError (`unsupported`) for a host or a user that ssh could take for something else.
 */
export function sshArguments(place: SshPlace, files: SshFiles, alive: SshAlive): readonly string[] {
  if (!/^[A-Za-z0-9_][A-Za-z0-9._-]{0,63}$/.test(place.user)) {
    throw new TransportError('unsupported', 'the gate has a user name that ssh does not accept');
  }
  if (!/^[A-Za-z0-9:][A-Za-z0-9.:_-]{0,252}$/.test(place.host)) {
    throw new TransportError('unsupported', 'the gate has a host name that ssh does not accept');
  }
  const options = {
    BatchMode: 'yes',
    StrictHostKeyChecking: 'yes',
    UserKnownHostsFile: files.knownHosts,
    GlobalKnownHostsFile: 'none',
    UpdateHostKeys: 'no',
    CheckHostIP: 'no',
    VerifyHostKeyDNS: 'no',
    CanonicalizeHostname: 'no',
    IdentitiesOnly: 'yes',
    IdentityFile: files.key,
    ...(files.certificate === undefined ? {} : { CertificateFile: files.certificate }),
    IdentityAgent: 'none',
    PreferredAuthentications: 'publickey',
    ForwardAgent: 'no',
    ForwardX11: 'no',
    PermitLocalCommand: 'no',
    ControlMaster: 'no',
    ControlPath: 'none',
    ExitOnForwardFailure: 'yes',
    ServerAliveInterval: String(alive.seconds),
    ServerAliveCountMax: String(alive.count),
    LogLevel: 'ERROR',
    ProxyCommand: '-',
  };
  return [
    '-F',
    'none',
    '-N',
    '-T',
    ...Object.entries(options).flatMap(([name, value]) => ['-o', `${name}=${value}`]),
    '-D',
    files.socket,
    '-p',
    String(place.port),
    '-l',
    place.user,
    '--',
    place.host,
  ];
}

const LAST_WORDS: readonly (readonly [RegExp, TransportFault])[] = [
  [
    /host key verification failed|no \S+ host key is known|remote host identification has changed|certificate/i,
    'identity',
  ],
  [/permission denied|too many authentication failures/i, 'credentials'],
  [/error in libcrypto|invalid format|load key/i, 'credentials'],
  [/bad configuration option|unknown option|usage: ssh/i, 'program'],
];

/** The error of an ssh that ended before its tunnel stood. */
export function sshFault(stderr: string, code: number | string): TransportError {
  const words = stderr
    .split('\n')
    .map((line) => line.replaceAll('\r', '').trim())
    .filter((line) => line !== '' && !/^@+|^It is|^IT IS|^Someone/.test(line));
  const fault = LAST_WORDS.find(([pattern]) => pattern.test(stderr))?.[1] ?? 'unreachable';
  const last = shownLine(words.slice(-2).join(' / '), 300);
  const why = last === '' ? 'the gate ended the connection, or did not answer' : last;
  return new TransportError(fault, `ssh ended (${code}): ${why}`);
}
