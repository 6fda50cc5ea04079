/** The inside of wallet files of the original (`.jmdat`), parsed to what this program can use. Pure. */
import { bytesToHex } from '@noble/hashes/utils.js';
import { BencodeDict, type Bencode } from '../../bitcoin/bencode.js';
import { NETWORKS, type Network } from '../../protocol/constants.js';
import type { Outpoint } from '../../protocol/outpoint.js';
import {
  damagedFile,
  USUAL_MIXDEPTHS,
  WalletImportError,
  type ForeignIndex,
  type ForeignWallet,
} from './foreign-wallet.js';

/** The numbers of types in the field `wallet_type`. */
const TYPE = { p2pkh: 0, nested: 1, native: 2, bonds: 5, watchOnlyBonds: 6 } as const;
const TXID_BYTES = 32;
const MAX_MIXDEPTH = 99;
/** Higher ones are damage: the program could not scan them. */
const MAX_INDEX = 1_000_000;
const MAX_VOUT = 0xffff_ffff;
const MAX_LABEL_CHARACTERS = 1_000;
const MAX_ENTRIES = 100_000;
const ENTROPY_BYTES = [16, 20, 24, 28, 32];

function textOf(bytes: Bencode | undefined): string | undefined {
  if (!(bytes instanceof Uint8Array)) return undefined;
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

/** The entries of a dictionary; none where the field is missing. */
function entriesOf(payload: BencodeDict, key: string): BencodeDict['entries'] {
  const value = payload.get(key);
  if (value === undefined) return [];
  if (!(value instanceof BencodeDict) || value.entries.length > MAX_ENTRIES) {
    throw damagedFile(`the field ${key}`);
  }
  return value.entries;
}

/** A key that is a decimal number. */
function numberOf(key: Uint8Array, most: number, field: string): number {
  const text = textOf(key) ?? '';
  if (!/^(0|[1-9]\d{0,9})$/.test(text) || Number(text) > most) {
    throw damagedFile(`the field ${field}`);
  }
  return Number(text);
}

function networksOf(payload: BencodeDict): readonly Network[] {
  const name = textOf(payload.get('network')) ?? '';
  // The original writes `testnet` on regtest too.
  if (name === 'testnet') return ['testnet', 'regtest'];
  const network = NETWORKS.find((known) => known === name);
  if (network !== undefined) return [network];
  throw new WalletImportError('unsupported', 'the wallet is for a network that this program lacks');
}

/** Throws for a wallet that this program cannot use. */
function kindOf(payload: BencodeDict): 'native' | 'nested' {
  const type = payload.get('wallet_type');
  if (typeof type !== 'number') throw damagedFile('the field wallet_type');
  switch (type) {
    case TYPE.nested:
      return 'nested';
    case TYPE.native:
    case TYPE.bonds:
      return 'native';
    case TYPE.p2pkh:
      throw new WalletImportError(
        'unsupported',
        'a p2pkh wallet of the time before segwit has other keys: send its coins to a new wallet with the original',
      );
    case TYPE.watchOnlyBonds:
      throw new WalletImportError(
        'unsupported',
        'a watch-only wallet for fidelity bonds has no keys: import the wallet that has them',
      );
    default:
      throw new WalletImportError(
        'unsupported',
        `the wallet has the type ${type}, which this program does not know: use "recover" with its seed words`,
      );
  }
}

function indicesOf(payload: BencodeDict): readonly ForeignIndex[] {
  return entriesOf(payload, 'index_cache').flatMap(([key, branches]) => {
    const mixdepth = numberOf(key, MAX_MIXDEPTH, 'index_cache');
    if (!(branches instanceof BencodeDict)) throw damagedFile('the field index_cache');
    return branches.entries.flatMap(([branchKey, next]): ForeignIndex[] => {
      const branch = numberOf(branchKey, MAX_MIXDEPTH, 'index_cache');
      if (branch !== 0 && branch !== 1) return [];
      if (typeof next !== 'number' || next < 0 || next > MAX_INDEX) {
        throw damagedFile('the field index_cache');
      }
      return [{ mixdepth, branch, next }];
    });
  });
}

/** The key is the txid in display order, and the number of the output as decimal text. */
function outpointOf(key: Uint8Array): Outpoint {
  if (key.length <= TXID_BYTES) throw damagedFile('the field meta');
  const vout = numberOf(key.subarray(TXID_BYTES), MAX_VOUT, 'meta');
  return { txid: bytesToHex(key.subarray(0, TXID_BYTES)), vout };
}

function frozenOf(payload: BencodeDict): readonly Outpoint[] {
  return entriesOf(payload, 'meta').flatMap(([key, value]) => {
    const outpoint = outpointOf(key);
    const disabled = value instanceof BencodeDict ? value.get('disabled') : undefined;
    return typeof disabled === 'number' && disabled !== 0 ? [outpoint] : [];
  });
}

/** Labels that are text, and how many are not. */
function labelsOf(payload: BencodeDict) {
  const entries = entriesOf(payload, 'addr_labels');
  const labels = entries.flatMap(([key, value]) => {
    const address = textOf(key);
    const label = textOf(value)?.slice(0, MAX_LABEL_CHARACTERS);
    const isAddress = address !== undefined && /^[0-9A-Za-z]{14,90}$/.test(address);
    return isAddress && label !== undefined && label !== '' ? [{ address, label }] : [];
  });
  return { labels, refused: entries.length - labels.length };
}

/** Number of keys that were imported one by one. A removed one is `["", -1]`. */
function importedKeys(payload: BencodeDict): number {
  let count = 0;
  for (const [, keys] of entriesOf(payload, 'imported_keys')) {
    if (!Array.isArray(keys)) throw damagedFile('the field imported_keys');
    count += keys.filter((pair: Bencode) => {
      const [key] = Array.isArray(pair) ? pair : [];
      return key instanceof Uint8Array && key.length > 0;
    }).length;
  }
  return count;
}

/** `2020/01/31 12:00:00` in the local time of that machine, which is within a day of UTC. */
function createdOf(payload: BencodeDict): number | undefined {
  const text = textOf(payload.get('created')) ?? '';
  const match = /^(\d{4})\/(\d\d)\/(\d\d) (\d\d):(\d\d):(\d\d)$/.exec(text);
  if (match === null) return undefined;
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = match
    .slice(1)
    .map(Number);
  const time = Date.UTC(year, month - 1, day, hour, minute, second) / 1_000;
  return time >= 0 ? time : undefined;
}

function notesOf(payload: BencodeDict, refusedLabels: number): readonly string[] {
  const keys = importedKeys(payload);
  const burners = entriesOf(payload, 'burner-out').length;
  return [
    ...(keys > 0
      ? [
          `${keys} single keys that were imported there are not taken over: send their coins to this wallet with the original`,
        ]
      : []),
    ...(burners > 0 ? [`${burners} burned outputs are not taken over: they cannot be spent`] : []),
    ...(refusedLabels > 0 ? [`${refusedLabels} labels are not text, and are not taken over`] : []),
    'the history of the original is not taken over; the chain gives it again, without its coinjoin fees',
  ];
}

/** Reads the dictionary of a file. Throws a `WalletImportError`: `damaged` or `unsupported`. */
export function readJmPayload(payload: BencodeDict): ForeignWallet {
  const kind = kindOf(payload);
  const networks = networksOf(payload);
  const entropy = payload.get('entropy');
  if (!(entropy instanceof Uint8Array) || !ENTROPY_BYTES.includes(entropy.length)) {
    throw damagedFile('it has no seed');
  }
  const extension = payload.get('seed_extension');
  const passphrase = extension === undefined ? '' : textOf(extension);
  if (passphrase === undefined) throw damagedFile('the field seed_extension');
  const indices = indicesOf(payload);
  const { labels, refused } = labelsOf(payload);
  return {
    program: 'joinmarket',
    entropy: bytesToHex(entropy),
    passphrase,
    networks,
    kind,
    mixdepths: Math.max(USUAL_MIXDEPTHS, ...indices.map(({ mixdepth }) => mixdepth + 1)),
    indices,
    labels,
    frozen: frozenOf(payload),
    birthHeight: undefined,
    created: createdOf(payload),
    fingerprint: undefined,
    notes: notesOf(payload, refused),
  };
}
