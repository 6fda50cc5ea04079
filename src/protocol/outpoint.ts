/** Names of coins in `auth` and `ioauth` (docs/protocol.md, section 9.5). */
import { fail, ok, type Parsed } from './result.js';

const MAX_U32 = 0xffff_ffff;
/** Longest scriptPubKey read from an extended name, in hex digits. Standard ones have at most 68. */
const MAX_SCRIPT_DIGITS = 1040;

/** An output of a transaction. */
export interface Outpoint {
  /** 64 lower-case hex digits in display order. */
  readonly txid: string;
  /** Number of the output, from 0. */
  readonly vout: number;
}

/** An output as a peer named it, with the metadata for peers without a full node. */
export interface NamedOutpoint extends Outpoint {
  /**
   * Only in the extended form: the script of the output and the height of its block. It says where to
   * search and proves nothing.
   */
  readonly metadata?: {
    /** The output's scriptPubKey, in hex. */
    readonly scriptPubKeyHex: string;
    /** Height of the block that confirmed it. */
    readonly blockHeight: number;
  };
}

/**
 * A decimal integer without sign, blanks or leading zeros, up to `max`; undefined for any other text.
 */
function decimal(text: string | undefined, max: number): number | undefined {
  if (text === undefined || !/^(?:0|[1-9][0-9]{0,9})$/.test(text)) return undefined;
  const value = Number(text);
  return value <= max ? value : undefined;
}

/** Reads `txid:vout` or the extended `txid:vout:scriptpubkey:height`; hex in either case. */
export function parseOutpoint(text: string): Parsed<NamedOutpoint, 'outpoint-form'> {
  const [txid, voutText, script, heightText, ...more] = text.split(':', 5);
  const vout = decimal(voutText, MAX_U32);
  if (txid === undefined || !/^[0-9a-fA-F]{64}$/.test(txid)) return fail('outpoint-form');
  if (vout === undefined || more.length > 0) return fail('outpoint-form');
  const outpoint = { txid: txid.toLowerCase(), vout };
  if (script === undefined) return ok(outpoint);
  const blockHeight = decimal(heightText, MAX_U32);
  if (blockHeight === undefined || script.length > MAX_SCRIPT_DIGITS) return fail('outpoint-form');
  if (!/^(?:[0-9a-fA-F]{2})+$/.test(script)) return fail('outpoint-form');
  const metadata = { scriptPubKeyHex: script.toLowerCase(), blockHeight };
  return ok({ ...outpoint, metadata });
}

/** `txid:vout`, the form that every deployed peer reads. Metadata is left out. */
export function formatOutpoint(outpoint: Outpoint): string {
  return `${outpoint.txid}:${outpoint.vout}`;
}

/**
 * `txid:vout:scriptpubkey:height` when the metadata is known, else `txid:vout`. Only for a peer that
 * offered `neutrino_compat`: the original refuses the extended form.
 */
export function formatNamedOutpoint({ metadata, ...outpoint }: NamedOutpoint): string {
  const name = formatOutpoint(outpoint);
  if (metadata === undefined) return name;
  return `${name}:${metadata.scriptPubKeyHex}:${metadata.blockHeight}`;
}
