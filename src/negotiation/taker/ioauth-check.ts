/** A taker's checks of a maker's `ioauth` (docs/protocol.md, section 9.5). */
import { hexToBytes } from '@noble/hashes/utils.js';
import type { Network } from '../../protocol/constants.js';
import type { BoxSession } from '../../protocol/encryption.js';
import { DUST_THRESHOLD, offerFee, type Offer } from '../../protocol/offer.js';
import { formatOutpoint } from '../../protocol/outpoint.js';
import { verifyText } from '../../protocol/signature.js';
import { metadataFault } from '../coin-metadata.js';
import { sumOf } from '../payout.js';
import type { ChainCoin, OwnCoin } from '../ports.js';
import type { DeclaredPart, LegFault, MakerPart } from './api.js';
import { parseIoAuth } from '../payloads.js';
import { addressScript, coinKind, keyOwnsScript } from '../transaction.js';

export interface Refused {
  readonly ok: false;
  readonly fault: LegFault;
  readonly detail: string;
}

type Judged<T> = { readonly ok: true; readonly value: T } | Refused;

const refused = (fault: LegFault, detail: string): Refused => ({ ok: false, fault, detail });

export interface DeclaredPartTerms {
  readonly network: Network;
  /** Most coins of one maker. */
  readonly makerCoins: number;
  /** Scripts and coins of all other sides of the round, including our own. */
  readonly taken: ReadonlySet<string>;
}

/**
 * The checks without the chain: form, the signature that binds the maker's coins to its box, addresses
 * of our network, no coin or address of another side.
 */
export function readDeclaredPart(
  text: string,
  box: BoxSession,
  terms: DeclaredPartTerms,
): Judged<DeclaredPart> {
  const io = parseIoAuth(text);
  if (!io.ok) return refused('bad-ioauth', `ioauth is malformed: ${io.reason}`);
  const { coins, authPublicKey, coinjoinAddress, changeAddress, signature } = io.value;
  if (coins.length > terms.makerCoins) {
    return refused('bad-ioauth', `${coins.length} coins; ${terms.makerCoins} are the most`);
  }
  if (!verifyText(box.theirPublicKeyHex, authPublicKey, signature)) {
    return refused('bad-auth-signature', 'the signature over the session key does not fit');
  }
  const coinjoinScript = addressScript(terms.network, coinjoinAddress);
  const changeScript = addressScript(terms.network, changeAddress);
  if (coinjoinScript === undefined || changeScript === undefined) {
    return refused('bad-address', `an address does not belong to ${terms.network}`);
  }
  const names = [...coins.map(formatOutpoint), coinjoinScript, changeScript];
  if (coinjoinScript === changeScript || names.some((name) => terms.taken.has(name))) {
    return refused('shared', 'a coin or an address is used twice in this round');
  }
  return { ok: true, value: { coins, authPublicKey, coinjoinScript, changeScript } };
}

/** The checks with the chain: the coins exist, belong to the maker, and suffice. */
export function judgeCoins(
  declared: DeclaredPart,
  found: readonly (ChainCoin | undefined)[],
  offer: Offer,
  amount: number,
): Judged<MakerPart> {
  const coins: OwnCoin[] = [];
  for (const [n, named] of declared.coins.entries()) {
    const { txid, vout } = named;
    const coin = found[n];
    const name = formatOutpoint({ txid, vout });
    if (coin === undefined) return refused('coin-missing', `${name} does not exist or is spent`);
    if (coin.confirmations < 1) return refused('coin-unconfirmed', `${name} is not confirmed`);
    if (coinKind(coin.script) === undefined) {
      return refused('coin-kind', `${name} is not a segwit coin of a single key`);
    }
    const detail = metadataFault(named, coin);
    if (detail !== undefined) return refused('coin-metadata', detail);
    coins.push({ txid, vout, script: coin.script, value: coin.value });
  }
  const key = hexToBytes(declared.authPublicKey);
  if (!coins.some(({ script }) => keyOwnsScript(key, script))) {
    return refused('coin-key', 'the key that signed owns none of the coins');
  }
  const fee = offerFee(offer, amount);
  const change = sumOf(coins) - amount - offer.txfee + fee;
  if (change < DUST_THRESHOLD) {
    return refused('coins-small', `the coins leave ${change} sat of change`);
  }
  const { coinjoinScript, changeScript } = declared;
  return {
    ok: true,
    value: { coins, coinjoinScript, changeScript, change, fee, txfee: offer.txfee },
  };
}
