/**
 * A packet: a few records of one node, signed together. 64 bytes of ed25519 signature and then JSON; the
 * signature covers the JSON as it was received, so that nothing depends on how it is written.
 */
import { createPublicKey, type KeyObject } from 'node:crypto';
import { parseRecord, type JsonRecord } from '../kit/json-record.js';
import { SIGNATURE_BYTES, type Seals } from './seals.js';

/** What a packet says besides its records. */
export interface PacketHead {
  /** The name of the cluster and the network. */
  readonly cluster: string;
  readonly node: string;
  /** Random, new with each start of the node. */
  readonly epoch: string;
  /** The node that it is for; undefined: all. */
  readonly to: string | undefined;
  /** Its number among the packets of this epoch to all, or to this node: 1, 2, ... */
  readonly seq: number;
}

export interface Packet extends PacketHead {
  readonly records: readonly unknown[];
}

/** So that no signature means anything elsewhere. */
const DOMAIN = Buffer.from('onionmc cluster 1\n');
/** The prefix of a raw ed25519 key in DER. */
const SPKI_PREFIX = Buffer.from('302a300506032b6570032100', 'hex');
const MAX_RECORDS = 100_000;

/** The public key of 64 hex digits; undefined when it is none. */
export function clusterPublicKey(hex: string): KeyObject | undefined {
  if (!/^[0-9a-f]{64}$/.test(hex)) return undefined;
  try {
    const der = Buffer.concat([SPKI_PREFIX, Buffer.from(hex, 'hex')]);
    return createPublicKey({ key: der, format: 'der', type: 'spki' });
  } catch {
    return undefined;
  }
}

/** The 64 hex digits of the public key of an ed25519 key. */
export function clusterKeyHex(key: KeyObject): string {
  const publicKey = key.type === 'private' ? createPublicKey(key) : key;
  return publicKey.export({ format: 'der', type: 'spki' }).subarray(-32).toString('hex');
}

/** @param records JSON texts */
export function sealPacket(
  head: PacketHead,
  records: readonly string[],
  seals: Pick<Seals, 'sign'>,
): Buffer {
  const { cluster, node, epoch, to, seq } = head;
  const fields = JSON.stringify({ c: cluster, f: node, e: epoch, t: to ?? '*', s: seq });
  const body = Buffer.from(`${fields.slice(0, -1)},"r":[${records.join(',')}]}`);
  return Buffer.concat([seals.sign(Buffer.concat([DOMAIN, body])), body]);
}

function isShortText(value: unknown): value is string {
  return typeof value === 'string' && value.length > 0 && value.length <= 128;
}

function packetOf({ c, f, e, t, s, r }: JsonRecord): Packet | undefined {
  if (!isShortText(c) || !isShortText(f) || !isShortText(e) || !isShortText(t)) return undefined;
  if (typeof s !== 'number' || !Number.isSafeInteger(s) || s < 1) return undefined;
  if (!Array.isArray(r) || r.length > MAX_RECORDS) return undefined;
  return { cluster: c, node: f, epoch: e, to: t === '*' ? undefined : t, seq: s, records: r };
}

/** Reads a packet, whose signature is not checked yet; undefined when it is none. Never throws. */
export function openPacket(bytes: Uint8Array): Packet | undefined {
  if (bytes.length <= SIGNATURE_BYTES) return undefined;
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString(
    'utf8',
    SIGNATURE_BYTES,
  );
  const fields = parseRecord(text);
  return fields && packetOf(fields);
}

/** Whether this node signed the packet. */
export function isSealedBy(
  bytes: Uint8Array,
  node: string,
  seals: Pick<Seals, 'isSignedBy'>,
): boolean {
  const body = Buffer.concat([DOMAIN, bytes.subarray(SIGNATURE_BYTES)]);
  return seals.isSignedBy(node, body, bytes.subarray(0, SIGNATURE_BYTES));
}
