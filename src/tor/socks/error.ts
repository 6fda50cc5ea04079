/** The errors of a dial through Tor's SOCKS port. */

export type SocksErrorCode =
  // Faults before or around the dialogue with the proxy.
  | 'location-refused'
  | 'too-many-dials'
  | 'dial-aborted'
  | 'dial-timeout'
  | 'proxy-unreachable'
  | 'proxy-protocol'
  | 'proxy-closed'
  | 'package'
  // Reply codes of RFC 1928, as Tor uses them.
  | 'general-failure'
  | 'not-allowed'
  | 'network-unreachable'
  | 'host-unreachable'
  | 'connection-refused'
  | 'ttl-expired'
  | 'command-not-supported'
  | 'address-type-not-supported'
  // Tor's extended replies (a SocksPort with `ExtendedErrors`).
  | 'onion-not-found'
  | 'onion-descriptor-invalid'
  | 'onion-introduction-failed'
  | 'onion-rendezvous-failed'
  | 'onion-auth-missing'
  | 'onion-auth-wrong'
  | 'onion-address-invalid'
  | 'onion-introduction-timeout'
  | 'unknown-reply';

/** Tor does not run, ended, or has no network; or this program cannot use SOCKS. */
const OURS: ReadonlySet<SocksErrorCode> = new Set([
  'proxy-unreachable',
  'proxy-closed',
  'network-unreachable',
  'package',
]);

/**
 * A dial that failed. `code` is a stable name, `reply` the byte of the SOCKS reply if there was one.
 * The message says which location, why, and what to do; it never contains credentials.
 */
export class SocksError extends Error {
  /** Always `SocksError`. */
  override readonly name = 'SocksError';
  constructor(
    /** Why the dial failed. */
    readonly code: SocksErrorCode,
    message: string,
    /** The byte of the SOCKS reply; undefined if there was none. */
    readonly reply?: number,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }

  /** The fault is on this machine. */
  get ours(): boolean {
    return OURS.has(this.code);
  }
}

interface ReplyMeaning {
  readonly code: SocksErrorCode;
  readonly text: string;
}

/** Meaning of reply bytes: RFC 1928 section 6, and Tor's proposal 304 from 0xf0 on. */
const REPLIES: ReadonlyMap<number, ReplyMeaning> = new Map([
  [
    0x01,
    {
      code: 'general-failure',
      // Tor also replies so for wrong addresses, but only addresses with a right checksum are dialled.
      text: 'the onion service is there, and the program behind it does not take the connection now; try again later',
    },
  ],
  [
    0x02,
    { code: 'not-allowed', text: 'Tor is configured not to allow it; check SocksPolicy in torrc' },
  ],
  [
    0x03,
    { code: 'network-unreachable', text: "Tor has no network; check this machine's connection" },
  ],
  [
    0x04,
    { code: 'host-unreachable', text: 'the onion service is not online now; try again later' },
  ],
  [
    0x05,
    {
      code: 'connection-refused',
      text: 'the onion service does not serve this port, or was just withdrawn',
    },
  ],
  [0x06, { code: 'ttl-expired', text: 'Tor gave up waiting for it; try again later' }],
  [
    0x07,
    {
      code: 'command-not-supported',
      text: 'this proxy cannot connect; is it the SocksPort of Tor?',
    },
  ],
  [
    0x08,
    {
      code: 'address-type-not-supported',
      text: 'this proxy takes no host names; is it the SocksPort of Tor?',
    },
  ],
  [
    0xf0,
    {
      code: 'onion-not-found',
      text: 'no such onion service is published; it is offline, or the address is old',
    },
  ],
  [0xf1, { code: 'onion-descriptor-invalid', text: 'its onion service descriptor cannot be read' }],
  [
    0xf2,
    {
      code: 'onion-introduction-failed',
      text: 'the onion service has gone from where it announced itself; try again later',
    },
  ],
  [
    0xf3,
    {
      code: 'onion-rendezvous-failed',
      text: 'the onion service did not come to the rendezvous; try again later',
    },
  ],
  [
    0xf4,
    {
      code: 'onion-auth-missing',
      text: 'the onion service only lets authorised clients in, and Tor has no key for it',
    },
  ],
  [
    0xf5,
    {
      code: 'onion-auth-wrong',
      text: 'the onion service only lets authorised clients in, and the key in Tor is wrong',
    },
  ],
  [
    0xf6,
    { code: 'onion-address-invalid', text: 'Tor says that this is not a valid onion address' },
  ],
  [
    0xf7,
    {
      code: 'onion-introduction-timeout',
      text: 'the onion service did not answer in time; try again later',
    },
  ],
]);

/** The error for a SOCKS reply other than 0 (granted). `where` is the dialled location. */
export function socksReplyError(reply: number, where: string): SocksError {
  const number = `SOCKS reply ${reply >= 0xf0 ? `0x${reply.toString(16)}` : reply}`;
  const meaning = REPLIES.get(reply);
  if (meaning === undefined) {
    return new SocksError('unknown-reply', `cannot reach ${where}: ${number}`, reply);
  }
  return new SocksError(meaning.code, `cannot reach ${where}: ${meaning.text} (${number})`, reply);
}
