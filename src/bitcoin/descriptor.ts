/**
 * Output descriptors as a node reads them (BIP380 to BIP385), with their checksums. Hardened steps are
 * written with `h`: the checksum is over the text, and `'` gives another one.
 */
import { fail, ok, type Parsed } from '../protocol/result.js';

const CHARACTERS =
  "0123456789()[],'/*abcdefgh@:$%{}" +
  'IJKLMNOPQRSTUVWXYZ&+-.;<=>?!^_|~' +
  'ijklmnopqrstuvwxyzABCDEFGH`#"\\ ';
const CHECKSUM_CHARACTERS = 'qpzry9x8gf2tvdw0s3jn54khce6mua7l';
const CHECKSUM_LENGTH = 8;
/** The generator of the code: the highest 8 and the lowest 32 of 40 bits. */
const GENERATOR = [
  [0xf5, 0xdee5_1989],
  [0xa9, 0xfdca_3312],
  [0x1b, 0xab10_e32d],
  [0x37, 0x06b1_677a],
  [0x64, 0x4d62_6ffd],
] as const;
const MAX_CHARS = 100_000;

/** The checksum over the groups of a text; a number of 40 bits in two parts. */
class Polymod {
  high = 0;
  low = 1;

  add(value: number): void {
    const top = this.high >>> 3;
    this.high = ((this.high & 0b111) << 5) | (this.low >>> 27);
    this.low = ((this.low << 5) ^ value) >>> 0;
    for (const [bit, [high, low]] of GENERATOR.entries()) {
      if ((top & (1 << bit)) === 0) continue;
      this.high ^= high;
      this.low = (this.low ^ low) >>> 0;
    }
  }

  /** The group of 5 bits that begins at this bit. */
  group(bit: number): number {
    return Number(((BigInt(this.high) << 32n) | BigInt(this.low)) >> BigInt(bit)) & 31;
  }
}

/**
 * The eight characters behind `#`; undefined when the text has a character that descriptors do not have.
 */
export function descriptorChecksum(descriptor: string): string | undefined {
  const code = new Polymod();
  let groups = 0;
  let count = 0;
  for (const character of descriptor) {
    const place = CHARACTERS.indexOf(character);
    if (place === -1) return undefined;
    code.add(place & 31);
    groups = groups * 3 + (place >> 5);
    count += 1;
    if (count % 3 === 0) {
      code.add(groups);
      groups = 0;
    }
  }
  if (count % 3 > 0) code.add(groups);
  for (let n = 0; n < CHECKSUM_LENGTH; n++) code.add(0);
  code.low = (code.low ^ 1) >>> 0;
  return Array.from(
    { length: CHECKSUM_LENGTH },
    (_, n) => CHECKSUM_CHARACTERS[code.group(5 * (CHECKSUM_LENGTH - 1 - n))],
  ).join('');
}

/** The descriptor with `#` and its checksum. Throws a RangeError for a character that descriptors do not have. */
export function withChecksum(descriptor: string): string {
  const checksum = descriptorChecksum(descriptor);
  if (checksum === undefined) throw new RangeError('a descriptor has a character it cannot have');
  return `${descriptor}#${checksum}`;
}

/** Why a text is not a descriptor with its checksum. */
export type DescriptorFault = 'descriptor-form' | 'descriptor-checksum';

/** The part before `#`, when the checksum behind it is right. What the descriptor means is not read. */
export function checkDescriptor(text: string): Parsed<string, DescriptorFault> {
  if (text.length > MAX_CHARS) return fail('descriptor-form');
  const [body = '', checksum, ...more] = text.split('#');
  if (body === '' || checksum === undefined || more.length > 0) return fail('descriptor-form');
  return descriptorChecksum(body) === checksum ? ok(body) : fail('descriptor-checksum');
}

/** An account: an extended public key, and where it comes from. */
export interface DescriptorAccount {
  /** Of the master key, 8 hex digits. */
  readonly fingerprint: string;
  /** The hardened steps to the key, without `m/`: `84h/0h/0h`; `'` is accepted and written as `h`. */
  readonly path: string;
  /** In base58: xpub or tpub. */
  readonly publicKey: string;
}

const keys = ({ fingerprint, path, publicKey }: DescriptorAccount, branch: number): string =>
  `[${fingerprint}/${path.replaceAll("'", 'h')}]${publicKey}/${branch}/*`;

/** All native segwit addresses of one branch. */
export const wpkhDescriptor = (account: DescriptorAccount, branch: number): string =>
  withChecksum(`wpkh(${keys(account, branch)})`);

/** All nested segwit addresses of one branch. */
export const shWpkhDescriptor = (account: DescriptorAccount, branch: number): string =>
  withChecksum(`sh(wpkh(${keys(account, branch)}))`);

/** One address. */
export const addressDescriptor = (address: string): string => withChecksum(`addr(${address})`);

/** One scriptPubKey (hex). Fidelity bonds have no other descriptor. */
export const rawDescriptor = (script: string): string => withChecksum(`raw(${script})`);
