/** Small decisions of `Wallet`. */
import { bytesToHex } from '@noble/hashes/utils.js';
import { parseTransaction } from '../bitcoin/transaction.js';
import type { Chain } from '../chain/ports.js';
import { formatOutpoint, type Outpoint } from '../protocol/outpoint.js';
import { WalletError, type KeyPlace, type WalletCoin } from './api.js';
import { coinOf, type CoinTerms } from './coins.js';
import { unsignedTxid } from './found.js';
import type { Decision } from './journal.js';
import { labelReference, MAX_LABEL } from './labels.js';
import type { PathTerms } from './places.js';
import type { CoinName, WalletRecord } from './records.js';
import type { BondCertificate, ImportedState, SignRequest } from './requests.js';
import type { WalletState } from './state.js';

/** The first value of a list that has one. */
export function first<T>(values: readonly T[]): T {
  const [value] = values;
  if (value === undefined) throw new Error('the list is empty');
  return value;
}

/** The place of a coin whose key is in the wallet. */
export function ownPlace({ mixdepth, branch, index, outsideKey }: WalletCoin): KeyPlace {
  if (outsideKey === undefined) return { mixdepth, branch, index };
  throw new WalletError('coin', 'the key of this bond is outside the wallet: sign elsewhere');
}

/**
 * Asks the chain whether the coins are still there, also in the mempool: another copy of this wallet may have
 * spent them. Coins of a transaction that is replaced are spent in the mempool, and are not asked for.
 */
export async function checkUnspent(
  chain: Chain | undefined,
  { coins, replaces }: Pick<SignRequest, 'coins' | 'replaces'>,
  signal?: AbortSignal,
): Promise<void> {
  if (chain?.abilities.mempool !== true || replaces !== undefined) return;
  const found = await chain.coins(coins, signal);
  const missing = coins.find((_, i) => found[i] === undefined);
  if (missing === undefined) return;
  throw new WalletError(
    'coin',
    `${formatOutpoint(missing)} is spent by a transaction that this wallet did not sign, or that it gave up`,
  );
}

/** The record of a certificate. Throws a WalletError for one that is not in the form. */
export function certificateRecord(certificate: BondCertificate): WalletRecord {
  const { txid, vout, certPrivateKey, certExpiry, certSignature } = certificate;
  const isFit =
    /^[0-9a-f]{64}$/.test(certPrivateKey) &&
    Number.isInteger(certExpiry) &&
    certExpiry >= 0 &&
    certExpiry <= 0xffff &&
    (certSignature === undefined || /^(?:[0-9a-f]{2}){8,72}$/.test(certSignature));
  if (!isFit) throw new WalletError('request', 'the certificate is not in the form of one');
  return {
    kind: 'certificate',
    coin: [txid, vout],
    privateKey: certPrivateKey,
    expiry: certExpiry,
    ...(certSignature === undefined ? {} : { signature: certSignature }),
  };
}

/** Records for what a wallet of another program knew. */
export function importedRecords(
  { indices, frozen, labels, commitments }: ImportedState,
  { network, mixdepths }: PathTerms & { readonly mixdepths: number },
): readonly WalletRecord[] {
  const records: WalletRecord[] = [];
  for (const { mixdepth, branch, next } of indices) {
    if (mixdepth >= mixdepths || next <= 0) continue;
    records.push({ kind: 'skip', mixdepth, branch, next });
  }
  for (const { txid, vout } of frozen) {
    records.push({ kind: 'freeze', coin: [txid, vout], reason: 'imported' });
  }
  for (const { address, label } of labels) {
    const reference = labelReference('addr', address, network);
    if (reference === undefined || label === '') continue;
    records.push({ kind: 'label', type: 'addr', reference, label: label.slice(0, MAX_LABEL) });
  }
  for (const commitment of commitments) {
    if (/^[0-9a-f]{64}$/.test(commitment)) records.push({ kind: 'commitment', commitment });
  }
  return records;
}

/** A record for each of these coins. Throws a WalletError for the first one that the wallet does not have. */
export function coinDecision(
  state: WalletState,
  terms: CoinTerms,
  outpoints: readonly Outpoint[],
  recordOf: (coin: CoinName) => WalletRecord,
): Decision<undefined> {
  const records = outpoints.map((outpoint) => {
    const coin = coinOf(state, terms, outpoint);
    if (coin !== undefined) return recordOf([coin.txid, coin.vout]);
    throw new WalletError('coin', `${formatOutpoint(outpoint)}: the wallet has no such coin`);
  });
  return { records, result: undefined };
}

/** A record about a signed transaction. Throws a WalletError for one that the wallet did not sign. */
export function markDecision(
  state: WalletState,
  record: WalletRecord & { readonly unsigned: string },
): Decision<undefined> {
  if (state.signed.record(record.unsigned) !== undefined) {
    return { records: [record], result: undefined };
  }
  throw new WalletError('request', `the wallet signed no transaction ${record.unsigned}`);
}

/** The record of a signed transaction with all signatures. Throws a WalletError for any other bytes. */
export function wholeDecision(
  state: WalletState,
  unsigned: string,
  bytes: Uint8Array,
  peersOnly: boolean,
): Decision<undefined> {
  if (state.signed.record(unsigned) === undefined) {
    throw new WalletError('request', `the wallet signed no transaction ${unsigned}`);
  }
  const read = parseTransaction(bytes);
  const isWhole =
    read.ok &&
    (unsignedTxid(read.value) ?? read.value.txid) === unsigned &&
    read.value.inputs.every(({ witness }) => witness.length > 0);
  if (!isWhole) {
    throw new WalletError(
      'request',
      `the bytes are not the transaction ${unsigned} with all signatures`,
    );
  }
  if (state.signed.txidOf(unsigned) !== undefined) return { records: [], result: undefined };
  const { txid } = read.value;
  return {
    records: [
      { kind: 'whole', unsigned, txid, bytes: bytesToHex(bytes), ...(peersOnly && { peersOnly }) },
    ],
    result: undefined,
  };
}
