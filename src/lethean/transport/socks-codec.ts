/** Messages of SOCKS5 (RFC 1928) and its user names and passwords (RFC 1929), both sides. Pure. */
import { canonicalHost } from '../../kit/host-name.js';

export const SOCKS_VERSION = 5;
export const AUTH_VERSION = 1;
export const METHOD_NONE = 0;
export const METHOD_PASSWORD = 2;
export const METHOD_NO_ACCEPTABLE = 0xff;
export const COMMAND_CONNECT = 1;
export const ADDRESS_IPV4 = 1;
export const ADDRESS_NAME = 3;
export const ADDRESS_IPV6 = 4;
/** Longest message of either side: 255 bytes twice, with their lengths. */
export const MAX_SOCKS_MESSAGE_BYTES = 3 + 255 + 255;

/** Replies of RFC 1928 section 6 that this program uses. */
export const SOCKS_REPLY = {
  granted: 0,
  failure: 1,
  notAllowed: 2,
  hostUnreachable: 4,
  refused: 5,
  commandUnsupported: 7,
  addressUnsupported: 8,
} as const;

/** What a reply code of a server means; for error texts. */
export function socksReplyText(code: number): string {
  const texts = [
    'granted',
    'general failure',
    'not allowed',
    'network unreachable',
    'host unreachable',
    'connection refused',
    'time to live expired',
    'command not supported',
    'address type not supported',
  ];
  return texts[code] ?? `reply ${code}`;
}

function ipv4Bytes(host: string): Buffer | undefined {
  return /^\d{1,3}(\.\d{1,3}){3}$/.test(host)
    ? Buffer.from(host.split('.').map(Number))
    : undefined;
}

function words(text: string): readonly number[] {
  return text === '' ? [] : text.split(':').map((word) => Number.parseInt(word, 16));
}

/** The 16 bytes of an IPv6 address in its canonical form. */
function ipv6Bytes(host: string): Buffer {
  const [head = '', tail] = host.split('::');
  const first = words(head);
  const last = tail === undefined ? [] : words(tail);
  const zeros = Array.from({ length: 8 - first.length - last.length }, () => 0);
  const bytes = Buffer.alloc(16);
  [...first, ...zeros, ...last].forEach((word, index) => bytes.writeUInt16BE(word, index * 2));
  return bytes;
}

function ipv6Text(bytes: Buffer): string {
  const parts = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(index * 2).toString(16));
  return canonicalHost(`[${parts.join(':')}]`) ?? '::';
}

/** Address type, address and port of a request. Undefined when the host is not a name or an address. */
export function encodeAddress(host: string, port: number): Buffer | undefined {
  const plain = canonicalHost(host);
  if (plain === undefined || !Number.isInteger(port) || port < 1 || port > 65_535) return undefined;
  const end = Buffer.from([port >> 8, port & 0xff]);
  const ipv4 = ipv4Bytes(plain);
  if (ipv4 !== undefined) return Buffer.concat([Buffer.from([ADDRESS_IPV4]), ipv4, end]);
  if (plain.includes(':'))
    return Buffer.concat([Buffer.from([ADDRESS_IPV6]), ipv6Bytes(plain), end]);
  const name = Buffer.from(plain, 'latin1');
  return Buffer.concat([Buffer.from([ADDRESS_NAME, name.length]), name, end]);
}

/** Bytes of the address after its type: 4, 16, or those of the name behind its length byte. */
export function addressLength(type: number, lengthByte: number): number | undefined {
  if (type === ADDRESS_IPV4) return 4;
  if (type === ADDRESS_IPV6) return 16;
  return type === ADDRESS_NAME ? lengthByte : undefined;
}

/** The text of an address of a request. Undefined when a name is not valid. */
export function addressText(type: number, bytes: Buffer): string | undefined {
  if (type === ADDRESS_IPV4) return [...bytes].join('.');
  if (type === ADDRESS_IPV6) return ipv6Text(bytes);
  return canonicalHost(bytes.toString('latin1'));
}

/** A reply of a server, with an empty bound address. */
export function socksReply(code: number): Buffer {
  return Buffer.from([SOCKS_VERSION, code, 0, ADDRESS_IPV4, 0, 0, 0, 0, 0, 0]);
}

/** The message of a user name and a password; undefined when one of them is empty or longer than 255 bytes. */
export function encodePassword(username: string, password: string): Buffer | undefined {
  const user = Buffer.from(username, 'utf8');
  const secret = Buffer.from(password, 'utf8');
  if (user.length < 1 || user.length > 255 || secret.length < 1 || secret.length > 255) {
    return undefined;
  }
  return Buffer.concat([
    Buffer.from([AUTH_VERSION, user.length]),
    user,
    Buffer.from([secret.length]),
    secret,
  ]);
}
