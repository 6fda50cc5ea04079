/** Parsers for the values in Tor's replies and events, one for each grammar. Pure; they never throw. */
import { parseOnionHost } from '../../protocol/location.js';
import { fail, ok, type Parsed } from '../../protocol/result.js';
import type { Reply } from './reply.js';

const MAX_ITEMS = 256;

const ESCAPES: Readonly<Record<string, number>> = { n: 0x0a, r: 0x0d, t: 0x09 };

/**
 * A quoted string at the start of `text` (bytes as latin1), and the text after it.
 *
 *   quoted = DQUOTE *( char / "\" ( "n" / "r" / "t" / 1*3OCTAL / "x" 2HEX / any ) ) DQUOTE
 */
export function parseQuoted(
  text: string,
): Parsed<{ readonly value: Uint8Array; readonly rest: string }, 'quoted'> {
  const head = /^"((?:[^"\\]|\\[^])*)"/.exec(text);
  const body = head?.[1];
  if (head === null || body === undefined) return fail('quoted');
  const value: number[] = [];
  for (const part of body.matchAll(/\\([0-7]{1,3})|\\x([0-9a-fA-F]{2})|\\([^])|([^])/g)) {
    const [, octal, hex, escaped, plain] = part;
    if (octal !== undefined) value.push(parseInt(octal, 8) & 0xff);
    else if (hex !== undefined) value.push(parseInt(hex, 16));
    else if (escaped !== undefined) value.push(ESCAPES[escaped] ?? escaped.charCodeAt(0) & 0xff);
    else if (plain !== undefined) value.push(plain.charCodeAt(0) & 0xff);
  }
  return ok({ value: Uint8Array.from(value), rest: text.slice(head[0].length) });
}

/** `text` as a quoted string for a command; it must not contain CR, LF or NUL. */
export function quote(text: string): string {
  return `"${text.replace(/["\\]/g, '\\$&')}"`;
}

/** `"a" "b"`: a list of quoted strings, as in `GETINFO net/listeners/socks`. */
export function parseQuotedList(text: string): Parsed<readonly string[], 'quoted-list'> {
  const items: string[] = [];
  let rest = text.trimStart();
  while (rest !== '') {
    const item = parseQuoted(rest);
    if (!item.ok || items.length >= MAX_ITEMS) return fail('quoted-list');
    items.push(Buffer.from(item.value.value).toString('utf8'));
    rest = item.value.rest.trimStart();
  }
  return ok(items);
}

/**
 *   arguments = *( SP ( keyword "=" ( quoted / *nonblank ) / *nonblank ) )
 *
 * The `keyword=value` pairs; words without `=` are skipped. Values are bytes as latin1.
 */
export function parseKeywords(text: string): Parsed<ReadonlyMap<string, string>, 'keywords'> {
  const found = new Map<string, string>();
  let rest = text.trimStart();
  while (rest !== '') {
    if (found.size >= MAX_ITEMS) return fail('keywords');
    const key = /^([A-Za-z0-9_-]+)=/.exec(rest);
    if (key?.[1] === undefined) {
      rest = rest.replace(/^\S+\s*/, '');
      continue;
    }
    rest = rest.slice(key[0].length);
    if (rest.startsWith('"')) {
      const quoted = parseQuoted(rest);
      if (!quoted.ok) return fail('keywords');
      found.set(key[1], Buffer.from(quoted.value.value).toString('latin1'));
      rest = quoted.value.rest.trimStart();
    } else {
      const value = /^\S*/.exec(rest)?.[0] ?? '';
      found.set(key[1], value);
      rest = rest.slice(value.length).trimStart();
    }
  }
  return ok(found);
}

/** The value of `GETINFO key`, from the line `key=value` (or its data block). */
export function infoValue(reply: Reply, key: string): string | undefined {
  const line = reply.lines.find(({ text }) => text.startsWith(`${key}=`));
  return line === undefined ? undefined : (line.data ?? line.text.slice(key.length + 1));
}

export interface ProtocolInfo {
  /** Upper case, as sent: `NULL`, `HASHEDPASSWORD`, `COOKIE`, `SAFECOOKIE`, or an unknown one. */
  readonly methods: readonly string[];
  /** Path of the cookie file as bytes: a file name need not be UTF-8. */
  readonly cookieFile: Uint8Array | undefined;
  readonly torVersion: string | undefined;
}

/**
 *   "PROTOCOLINFO" SP version
 *   "AUTH METHODS=" method *( "," method ) [ SP "COOKIEFILE=" quoted ]
 *   "VERSION Tor=" quoted
 */
export function parseProtocolInfo(reply: Reply): Parsed<ProtocolInfo, 'protocolinfo'> {
  const after = (word: string) => {
    const line = reply.lines.find(({ text }) => text.startsWith(`${word} `));
    return line === undefined ? undefined : parseKeywords(line.text.slice(word.length + 1));
  };
  if (after('PROTOCOLINFO') === undefined) return fail('protocolinfo');
  const auth = after('AUTH');
  if (auth === undefined || !auth.ok) return fail('protocolinfo');
  const methods = auth.value.get('METHODS');
  if (methods === undefined || methods === '') return fail('protocolinfo');
  const cookieFile = auth.value.get('COOKIEFILE');
  const version = after('VERSION');
  return ok({
    methods: methods.toUpperCase().split(','),
    cookieFile: cookieFile === undefined ? undefined : Buffer.from(cookieFile, 'latin1'),
    torVersion: version?.ok === true ? version.value.get('Tor') : undefined,
  });
}

const HASH_HEX = /^[0-9a-fA-F]{64}$/;

/** `AUTHCHALLENGE SERVERHASH=64HEX SERVERNONCE=64HEX`. */
export function parseAuthChallenge(
  reply: Reply,
): Parsed<{ readonly serverHash: Uint8Array; readonly serverNonce: Uint8Array }, 'authchallenge'> {
  const text = reply.lines[0]?.text ?? '';
  if (!text.startsWith('AUTHCHALLENGE ')) return fail('authchallenge');
  const words = parseKeywords(text);
  if (!words.ok) return fail('authchallenge');
  const hash = words.value.get('SERVERHASH') ?? '';
  const nonce = words.value.get('SERVERNONCE') ?? '';
  if (!HASH_HEX.test(hash) || !HASH_HEX.test(nonce)) return fail('authchallenge');
  return ok({
    serverHash: Buffer.from(hash, 'hex'),
    serverNonce: Buffer.from(nonce, 'hex'),
  });
}

export interface AddedOnion {
  /** 62 characters, with `.onion`. */
  readonly host: string;
  /**
   * `ED25519-V3:<base64>`, only when Tor made the key and was not told to discard it. A filter in front
   * of the control port may write other text instead, which counts as no key.
   */
  readonly privateKey: string | undefined;
}

const PRIVATE_KEY = /^ED25519-V3:[A-Za-z0-9+/]{86}==$/;

/** `ServiceID=56BASE32` and, for a new key, `PrivateKey=ED25519-V3:88BASE64`, a line each. */
export function parseAddedOnion(reply: Reply): Parsed<AddedOnion, 'service-id'> {
  const host = `${infoValue(reply, 'ServiceID') ?? ''}.onion`;
  if (!parseOnionHost(host).ok) return fail('service-id');
  const privateKey = infoValue(reply, 'PrivateKey');
  const isKey = privateKey !== undefined && PRIVATE_KEY.test(privateKey);
  return ok({ host, privateKey: isKey ? privateKey : undefined });
}

export type HsDescAction =
  'CREATED' | 'UPLOAD' | 'UPLOADED' | 'FAILED' | 'REQUESTED' | 'RECEIVED' | 'IGNORE';

export interface HsDescEvent {
  readonly action: HsDescAction;
  /** 62 characters, with `.onion`. */
  readonly host: string;
  /** `$<fingerprint>~name` or `UNKNOWN`. */
  readonly hsDir: string;
  /** The blinded public key; `UPLOADED` has none. */
  readonly descriptorId: string | undefined;
  readonly reason: string | undefined;
}

const HS_DESC_ACTION = /^(?:CREATED|UPLOAD|UPLOADED|FAILED|REQUESTED|RECEIVED|IGNORE)$/;

function isHsDescAction(word: string): word is HsDescAction {
  return HS_DESC_ACTION.test(word);
}

/** `HS_DESC`: action SP address SP auth-type SP hsdir [ SP descriptor-id ] *( SP keyword "=" value ). */
export function parseHsDesc(text: string): Parsed<HsDescEvent, 'hs-desc'> {
  const [action = '', address, , hsDir, ...more] = text.split(' ');
  if (!isHsDescAction(action) || address === undefined || hsDir === undefined) {
    return fail('hs-desc');
  }
  const id = more[0];
  return ok({
    action,
    host: `${address}.onion`,
    hsDir,
    descriptorId: id === undefined || id === '' || id.includes('REASON=') ? undefined : id,
    reason: more.find((word) => word.startsWith('REASON='))?.slice('REASON='.length),
  });
}

export interface BootstrapPhase {
  /** 0 to 100. */
  readonly progress: number;
  readonly tag: string;
  /** For a person. */
  readonly summary: string;
  /** Why Tor makes no progress, if it reports that. */
  readonly warning: string | undefined;
}

/**
 * A `STATUS_CLIENT` event or the value of `GETINFO status/bootstrap-phase`:
 * `NOTICE BOOTSTRAP PROGRESS=5 TAG=conn SUMMARY="..." [WARNING="..."]`. Other status events fail with `other`.
 */
export function parseBootstrap(text: string): Parsed<BootstrapPhase, 'other' | 'bootstrap'> {
  const head = /^[A-Z]+ BOOTSTRAP (.*)$/.exec(text);
  if (head?.[1] === undefined) return fail('other');
  const words = parseKeywords(head[1]);
  if (!words.ok) return fail('bootstrap');
  const progress = words.value.get('PROGRESS') ?? '';
  if (!/^\d{1,3}$/.test(progress) || Number(progress) > 100) return fail('bootstrap');
  return ok({
    progress: Number(progress),
    tag: words.value.get('TAG') ?? '',
    summary: words.value.get('SUMMARY') ?? '',
    warning: words.value.get('WARNING'),
  });
}

/** The numbers of `0.4.9.11` or `0.4.9.2-alpha (git-...)`; undefined for other texts. */
export function parseTorVersion(text: string): readonly number[] | undefined {
  const match = /^(\d{1,6})\.(\d{1,6})\.(\d{1,6})\.(\d{1,6})(?![\d.])/.exec(text);
  return match === null ? undefined : match.slice(1).map(Number);
}
