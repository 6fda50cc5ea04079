/**
 * What the processes of `scripts/bench coinjoin` share. Each process mints the same coins in the same order
 * in a chain of its own memory, so that no process asks another one about the chain.
 */
import { secp256k1 } from '@noble/curves/secp256k1.js';
import { concatBytes } from '@noble/hashes/utils.js';
import { SegwitHashes, SIGHASH_ALL } from '../../src/bitcoin/sighash.js';
import { keyHashScript } from '../../src/bitcoin/script.js';
import type { MessageChannelEvents } from '../../src/channel/channel-api.js';
import { parseUnsigned } from '../../src/negotiation/transaction.js';
import type { SigningRequest } from '../../src/negotiation/ports.js';
import { formatOutpoint } from '../../src/protocol/outpoint.js';
import { nickKey, type NickKey } from '../../src/protocol/nick.js';
import type { Offer } from '../../src/protocol/offer.js';
import {
  createMemoryChain,
  mintFor,
  secretOf,
  type MemoryChain,
  type TestCoin,
} from '../../test/helpers/coinjoin-world.js';

export const NETWORK = 'signet';
export const AMOUNT = 1_000_000;
export const OFFER: Offer = {
  type: 'sw0reloffer',
  oid: 0,
  minsize: 27_300,
  maxsize: 500_000_000,
  txfee: 100,
  cjfee: '0.001',
};

export const makerKey = (side: string, n: number): NickKey =>
  nickKey(secretOf(`${side} maker ${n}`));

/** The coins of all parties of one round: two of each. */
export interface RoundCoins {
  readonly taker: readonly TestCoin[];
  readonly makers: readonly (readonly TestCoin[])[];
}

/** A chain with the coins of one round after the other. */
export class Scene {
  readonly chain: MemoryChain = createMemoryChain();
  readonly #makers: number;
  #round = 0;
  #last: RoundCoins | undefined;

  constructor(makers: number) {
    this.#makers = makers;
  }

  /** Removes the coins of the last round, as its transaction did, and mints the next ones. */
  next(): RoundCoins {
    this.#round += 1;
    for (const coin of this.#last ? [this.#last.taker, ...this.#last.makers].flat() : []) {
      this.chain.remove(coin);
    }
    this.#last = {
      taker: mintFor(this.chain, `taker ${this.#round}`, [1_500_000, 400_000]),
      makers: Array.from({ length: this.#makers }, (_, n) =>
        mintFor(this.chain, `maker ${n} ${this.#round}`, [700_000, 900_000]),
      ),
    };
    return this.#last;
  }
}

/** A chain with coins of one maker and of takers, for so many sessions at once: two for each side of each. */
export function sessionCoins(sessions: number): {
  readonly chain: MemoryChain;
  readonly maker: readonly TestCoin[];
  readonly takers: readonly (readonly TestCoin[])[];
} {
  const chain = createMemoryChain();
  const names = Array.from({ length: sessions }, (_, n) => `${n}`);
  return {
    chain,
    maker: names.flatMap((name) => mintFor(chain, `busy ${name}`, [700_000, 900_000])),
    takers: names.map((name) => mintFor(chain, `asker ${name}`, [1_500_000, 400_000])),
  };
}

/** A coin of the maker's wallet, as its process tells the takers'. */
export interface SharedCoin {
  readonly txid: string;
  readonly vout: number;
  readonly script: string;
  readonly value: number;
}

/** Signs as the wallet does: one hash of what all inputs share, one signature for each input. */
export function signCoins(
  coins: readonly TestCoin[],
  request: SigningRequest,
): { readonly signature: Uint8Array; readonly publicKey: Uint8Array }[] {
  const tx = parseUnsigned(request.transaction);
  if (!tx.ok) throw new Error(tx.reason);
  const hashes = new SegwitHashes(tx.value);
  return request.inputs.map(({ index, coin }) => {
    const own = coins.find((known) => formatOutpoint(known) === formatOutpoint(coin));
    if (own === undefined) throw new Error('asked to sign a coin of another wallet');
    const publicKey = secp256k1.getPublicKey(own.secret, true);
    const hash = hashes.ofInput(index, keyHashScript(publicKey), own.value);
    if (hash === undefined) throw new Error('asked to sign an input that does not exist');
    const der = secp256k1.sign(hash, own.secret, { prehash: false, format: 'der', lowS: true });
    return { signature: concatBytes(der, Uint8Array.of(SIGHASH_ALL)), publicKey };
  });
}

/** Milliseconds of the clock that all processes of a machine share. */
export const nowMs = (): number => Number(process.hrtime.bigint()) / 1e6;

/** User and system time of this process in milliseconds. */
export const cpuMs = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
};

/** One message at the face of a channel: `nick` is the other side. */
export interface Stamp {
  readonly nick: string;
  readonly what: 'sent' | 'received';
  readonly command: string;
  readonly atMs: number;
}

type PrivateListener = MessageChannelEvents['privmsg'];

/** The part of a channel that is stamped. */
interface Stamped {
  on(event: 'privmsg', listener: PrivateListener): void;
  send(to: string, command: string, args: string): unknown;
}

/**
 * Records every private message: received when the channel reports it, which is after its signature was
 * checked, and sent when `send` returns, which is after it was signed.
 */
export function stampsOf(channel: Stamped): {
  readonly stamps: Stamp[];
  readonly sent: (nick: string, command: string) => void;
} {
  const stamps: Stamp[] = [];
  channel.on('privmsg', ({ from, commands: [{ name }] }) => {
    stamps.push({ nick: from, what: 'received', command: name, atMs: nowMs() });
  });
  return {
    stamps,
    sent: (nick, command) => void stamps.push({ nick, what: 'sent', command, atMs: nowMs() }),
  };
}
