/**
 * The texts of a negotiation: arguments of `fill` and `pubkey`, plaintexts of `ioauth`, `tx` and `sig`
 * (docs/protocol.md, section 9). Pure; validates its input.
 */
import { concatBytes } from '@noble/hashes/utils.js';
import { base64 } from '@scure/base';
import { shownLine } from '../kit/shown-text.js';
import { decodeBase64 } from '../protocol/base64-text.js';
import { MAX_SATOSHI } from '../protocol/offer.js';
import { coinKind, redeemScript } from '../bitcoin/script.js';
import {
  formatNamedOutpoint,
  formatOutpoint,
  parseOutpoint,
  type NamedOutpoint,
} from '../protocol/outpoint.js';
import { formatCommitment, parseCommitment, type CommitmentFault } from '../protocol/podle.js';
import { fail, ok, type Parsed } from '../protocol/result.js';
import type { InputSignature, SpentOutput } from './transaction.js';

/** Most coins of one maker; the plaintext then fits easily into one line. */
export const MAX_COINS = 100;
const MAX_BASE64 = 40_000;
const MAX_ADDRESS = 100;

export interface FillTerms {
  readonly oid: number;
  /** Satoshi. */
  readonly amount: number;
  /** The taker's X25519 key as received; `openBoxSession` checks it. */
  readonly takerKey: string;
  /** 64 lower-case hex digits. */
  readonly commitment: string;
}

export type FillFault = 'fill-arity' | 'fill-oid' | 'fill-amount' | CommitmentFault;

function parseWhole(text: string, max: number): number | undefined {
  if (!/^\d{1,16}$/.test(text)) return undefined;
  const value = Number(text);
  return value <= max ? value : undefined;
}

/** `oid amount key Pcommitment`; further arguments are ignored. */
export function parseFill(args: readonly string[]): Parsed<FillTerms, FillFault> {
  const [oidText, amountText, takerKey, commitmentText] = args;
  if (oidText === undefined || amountText === undefined) return fail('fill-arity');
  if (takerKey === undefined || commitmentText === undefined) return fail('fill-arity');
  const commitment = parseCommitment(commitmentText);
  if (!commitment.ok) return commitment;
  const oid = parseWhole(oidText, Number.MAX_SAFE_INTEGER);
  if (oid === undefined) return fail('fill-oid');
  const amount = parseWhole(amountText, MAX_SATOSHI);
  if (amount === undefined || amount === 0) return fail('fill-amount');
  return ok({ oid, amount, takerKey, commitment: commitment.value });
}

export function formatFill({ oid, amount, takerKey, commitment }: FillTerms): string {
  return `${oid} ${amount} ${takerKey} ${formatCommitment(commitment)}`;
}

/** The maker's part of the transaction. */
export interface IoAuth {
  /** 1 to MAX_COINS, all different. */
  readonly coins: readonly NamedOutpoint[];
  /** Compressed, lower-case hex. */
  readonly authPublicKey: string;
  readonly coinjoinAddress: string;
  readonly changeAddress: string;
  /** Base64. */
  readonly signature: string;
}

export type IoAuthFault = 'ioauth-arity' | 'ioauth-coins' | 'ioauth-key' | 'ioauth-address';

/** Reads the plaintext of `ioauth`. Its statements are not verified here. */
export function parseIoAuth(text: string): Parsed<IoAuth, IoAuthFault> {
  const [list, authPublicKey, coinjoinAddress, changeAddress, signature] = text.split(' ', 6);
  if (list === undefined || authPublicKey === undefined || coinjoinAddress === undefined) {
    return fail('ioauth-arity');
  }
  if (changeAddress === undefined || signature === undefined) return fail('ioauth-arity');
  const names = list.split(',', MAX_COINS + 1);
  if (names.length > MAX_COINS) return fail('ioauth-coins');
  const coins: NamedOutpoint[] = [];
  for (const name of names) {
    const coin = parseOutpoint(name);
    if (!coin.ok) return fail('ioauth-coins');
    coins.push(coin.value);
  }
  if (new Set(coins.map(formatOutpoint)).size < coins.length) return fail('ioauth-coins');
  if (!/^0[23][0-9a-fA-F]{64}$/.test(authPublicKey)) return fail('ioauth-key');
  if (coinjoinAddress.length > MAX_ADDRESS || changeAddress.length > MAX_ADDRESS) {
    return fail('ioauth-address');
  }
  return ok({
    coins,
    authPublicKey: authPublicKey.toLowerCase(),
    coinjoinAddress,
    changeAddress,
    signature,
  });
}

/** The plaintext of `ioauth`; coins with metadata are written in the extended form. */
export function formatIoAuth(io: IoAuth): string {
  const coins = io.coins.map(formatNamedOutpoint).join(',');
  return [coins, io.authPublicKey, io.coinjoinAddress, io.changeAddress, io.signature].join(' ');
}

/** The bytes of a transaction from the plaintext of `tx` or the argument of `push`. */
export function parseTransactionText(text: string): Uint8Array | undefined {
  return decodeBase64(text, MAX_BASE64);
}

export function formatTransactionText(bytes: Uint8Array): string {
  return base64.encode(bytes);
}

/** Direct pushes of at most 75 bytes. */
function readPushes(bytes: Uint8Array): readonly Uint8Array[] | undefined {
  const pushes: Uint8Array[] = [];
  for (let at = 0; at < bytes.length;) {
    const length = bytes[at] ?? 0;
    if (length === 0 || length > 75 || at + 1 + length > bytes.length) return undefined;
    pushes.push(bytes.slice(at + 1, at + 1 + length));
    at += 1 + length;
  }
  return pushes;
}

/**
 * Reads the plaintext of `sig`: signature and key, and for wrapped coins a third push, which is
 * redundant and ignored (section 9.7).
 */
export function parseSignatureText(text: string): Parsed<InputSignature, 'sig-form'> {
  const bytes = decodeBase64(text, MAX_BASE64);
  const pushes = bytes === undefined ? undefined : readPushes(bytes);
  if (pushes === undefined || pushes.length > 3) return fail('sig-form');
  const [signature, publicKey] = pushes;
  if (signature === undefined || publicKey?.length !== 33) return fail('sig-form');
  return ok({ signature, publicKey });
}

/** Two pushes, and for a wrapped coin its redeem script as the third. */
export function formatSignatureText(
  { signature, publicKey }: InputSignature,
  spent: SpentOutput,
): string {
  const parts = [signature, publicKey];
  if (coinKind(spent.script) === 'p2sh-p2wpkh') parts.push(redeemScript(publicKey));
  return base64.encode(concatBytes(...parts.flatMap((part) => [Uint8Array.of(part.length), part])));
}

/** Longest text of a peer that is shown to a person. */
const MAX_SHOWN = 200;

/** Text of a peer, safe to show and bounded. */
export function shownText(text: string): string {
  return shownLine(text, MAX_SHOWN);
}

/** Text for every deployed peer: printable ASCII. */
function asciiText(text: string): string {
  return text.replace(/[^ -~]/g, '?');
}

/** Digits of the taker's key in a refusal, and room for them. */
const KEY_DIGITS = 16;
const KEY_ROOM = 32;

const keyMark = (takerKey: string): string => `(key ${takerKey.slice(0, KEY_DIGITS)})`;

/**
 * The text of an `error` to a taker: the reason, and the beginning of the key of its round, so that a
 * text for another round is recognised. It also makes refusals different: equal messages are dropped as
 * copies.
 */
export function formatRefusal(reason: string, takerKey: string): string {
  return `${asciiText(reason).slice(0, MAX_SHOWN - KEY_ROOM)} ${asciiText(keyMark(takerKey))}`;
}

/** Whether an `error` belongs to the round with this key. */
export function isRefusalTo(text: string, takerKey: string): boolean {
  return text.includes(keyMark(takerKey));
}
