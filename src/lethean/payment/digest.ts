/**
 * HTTP digest authentication (RFC 7616) as monero-wallet-rpc uses it: two challenges in one refusal, and a nonce that
 * belongs to one connection and whose counter grows by exactly one. Pure.
 */
import { createHash } from 'node:crypto';

/** One challenge of a `WWW-Authenticate` line, digest only. */
export interface DigestChallenge {
  readonly realm: string;
  readonly nonce: string;
  readonly opaque: string | undefined;
  readonly algorithm: DigestAlgorithm;
  /** Whether the counter and a nonce of the client are used (`qop="auth"`); otherwise the form of RFC 2069. */
  readonly auth: boolean;
  /** The nonce was too old; user and password were right. */
  readonly stale: boolean;
}

const ALGORITHMS = ['SHA-256-sess', 'SHA-256', 'MD5', 'MD5-sess'] as const;
/** In the order of preference; `-sess` forms of MD5 come last because nothing is gained by them. */
export type DigestAlgorithm = (typeof ALGORITHMS)[number];

export interface Credentials {
  readonly user: string;
  readonly password: string;
}

export interface DigestUse {
  readonly method: string;
  /** The path of the request, with its query. */
  readonly uri: string;
  /** From 1. */
  readonly count: number;
  /** Nonce of the client: hex. */
  readonly clientNonce: string;
}

/** Longest line that is read. */
const MAX_LINE = 4_000;
/** A parameter, a quoted or plain value, or the name of the next scheme. */
const PART =
  /\s*,?\s*([!#$%&'*+.^_`|~0-9A-Za-z-]+)(?:\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+)))?/gy;

type Parameters = Map<string, string>;

/** The challenges of one line, of any scheme: name in lower case, and parameters. */
function challengesOf(line: string): readonly { scheme: string; parameters: Parameters }[] {
  const found: { scheme: string; parameters: Parameters }[] = [];
  if (line.length > MAX_LINE) return found;
  for (const [, name = '', quoted, plain] of line.matchAll(PART)) {
    const value = quoted?.replace(/\\(.)/g, '$1') ?? plain;
    if (value === undefined) found.push({ scheme: name.toLowerCase(), parameters: new Map() });
    else found.at(-1)?.parameters.set(name.toLowerCase(), value);
  }
  return found;
}

function digestOf(parameters: Parameters): DigestChallenge | undefined {
  const realm = parameters.get('realm');
  const nonce = parameters.get('nonce');
  const named = (parameters.get('algorithm') ?? 'MD5').toLowerCase();
  const algorithm = ALGORITHMS.find((each) => each.toLowerCase() === named);
  const qop = parameters.get('qop');
  const auth = qop?.split(',').some((each) => each.trim() === 'auth') === true;
  if (realm === undefined || nonce === undefined || algorithm === undefined) return undefined;
  // Only `auth-int`: the body would have to be hashed, which no wallet asks for.
  if (qop !== undefined && !auth) return undefined;
  const stale = parameters.get('stale')?.toLowerCase() === 'true';
  return { realm, nonce, opaque: parameters.get('opaque'), algorithm, auth, stale };
}

/**
 * The challenge to answer among those of a refusal; undefined when it has no digest that is known here.
 * @param lines the values of all `WWW-Authenticate` headers
 */
export function chooseChallenge(lines: readonly string[]): DigestChallenge | undefined {
  const all = lines
    .flatMap((line) => challengesOf(line))
    .filter(({ scheme }) => scheme === 'digest')
    .map(({ parameters }) => digestOf(parameters))
    .filter((each) => each !== undefined);
  return all.toSorted(
    (a, b) => ALGORITHMS.indexOf(a.algorithm) - ALGORITHMS.indexOf(b.algorithm),
  )[0];
}

const quoted = (text: string): string => `"${text.replace(/["\\]/g, String.raw`\$&`)}"`;

/** The value of the `Authorization` header. */
export function digestHeader(
  challenge: DigestChallenge,
  { user, password }: Credentials,
  { method, uri, count, clientNonce }: DigestUse,
): string {
  const { realm, nonce, opaque, algorithm, auth } = challenge;
  const hash = (text: string): string =>
    createHash(algorithm.startsWith('MD5') ? 'md5' : 'sha256')
      .update(text)
      .digest('hex');
  const login = hash(`${user}:${realm}:${password}`);
  const secret = algorithm.endsWith('-sess') ? hash(`${login}:${nonce}:${clientNonce}`) : login;
  const asked = hash(`${method}:${uri}`);
  const counter = count.toString(16).padStart(8, '0');
  const response = auth
    ? hash(`${secret}:${nonce}:${counter}:${clientNonce}:auth:${asked}`)
    : hash(`${secret}:${nonce}:${asked}`);
  const parts = [
    `username=${quoted(user)}`,
    `realm=${quoted(realm)}`,
    `nonce=${quoted(nonce)}`,
    `uri=${quoted(uri)}`,
    `algorithm=${algorithm}`,
    `response="${response}"`,
    ...(auth ? ['qop=auth', `nc=${counter}`] : []),
    ...(auth || algorithm.endsWith('-sess') ? [`cnonce="${clientNonce}"`] : []),
    ...(opaque === undefined ? [] : [`opaque=${quoted(opaque)}`]),
  ];
  return `Digest ${parts.join(', ')}`;
}
