/** A maker with a real wallet on a chain in memory, and takers that exist only as coins. */
import { randomBytes } from 'node:crypto';
import { addressScript } from '../../src/bitcoin/address.js';
import { serializeTransaction } from '../../src/bitcoin/transaction.js';
import { silentLog } from '../../src/channel/log.js';
import type { MemoryChain } from '../../src/chain/memory.js';
import { WalletMaker, type WalletMakerOptions } from '../../src/maker/wallet-maker.js';
import { sumOf } from '../../src/negotiation/payout.js';
import type {
  Reservation,
  ReservationRequest,
  SigningRequest,
} from '../../src/negotiation/ports.js';
import { parseUnsigned } from '../../src/negotiation/transaction.js';
import { createBoxKeyPair } from '../../src/protocol/encryption.js';
import { DUST_THRESHOLD, offerFee, type Offer } from '../../src/protocol/offer.js';
import { formatOutpoint, type Outpoint } from '../../src/protocol/outpoint.js';
import type { AddressPurpose } from '../../src/wallet/requests.js';
import type { WalletSecret } from '../../src/wallet/store/api.js';
import type { Wallet } from '../../src/wallet/wallet.js';
import { CoinjoinFollower } from '../../src/wallet/coinjoins/follower.js';
import { createWalletWorld, type MemoryStore, type WalletWorld } from './wallet-world.js';

export const OFFER: Offer = {
  type: 'sw0absoffer',
  oid: 0,
  minsize: 27_300,
  maxsize: 500_000_000,
  txfee: 100,
  cjfee: '1100',
};
/** What `OFFER` earns in each coinjoin. */
export const EARNED = 1_000;
/** A script of a taker. */
export const OTHERS = `0014${'77'.repeat(20)}`;

export const never = new AbortController().signal;

/** What a session of this amount asks the wallet for. */
export function requestOf(amount: number, offer: Offer = OFFER): ReservationRequest {
  const least = amount + offer.txfee - offerFee(offer, amount) + DUST_THRESHOLD;
  const { publicKeyHex } = createBoxKeyPair(randomBytes);
  return { offer, amount, least, boxPublicKey: publicKeyHex };
}

/** The coins of a reservation, by name, in an order that does not matter. */
export const namesOf = ({ coins }: Reservation): readonly string[] =>
  coins.map(formatOutpoint).toSorted();

/** The transaction that a taker makes of a reservation and a coin of its own. */
export function coinjoinOf(
  reservation: Reservation,
  amount: number,
  taker: Outpoint & { readonly value: number },
  network: 'regtest' | 'signet' = 'regtest',
): SigningRequest {
  const { coins, coinjoinAddress, changeAddress } = reservation;
  const script = (address: string): string => addressScript(network, address) ?? '';
  const transaction = serializeTransaction({
    version: 2,
    lockTime: 0,
    inputs: [taker, ...coins].map(({ txid, vout }) => ({ txid, vout, sequence: 0xffff_fffe })),
    outputs: [
      { script: OTHERS, value: amount },
      { script: script(coinjoinAddress), value: amount },
      { script: script(changeAddress), value: sumOf(coins) - amount + EARNED },
      { script: OTHERS, value: taker.value - amount - EARNED - 2_000 },
    ],
  });
  const parsed = parseUnsigned(transaction);
  if (!parsed.ok) throw new Error(parsed.reason);
  const inputs = coins.map((coin, n) => ({ index: n + 1, coin }));
  return { transaction, txid: parsed.value.txid, inputs };
}

/** A transaction that spends coins for something else. */
export function spendingOf(coins: readonly Outpoint[], value: number): Uint8Array {
  return serializeTransaction({
    version: 2,
    lockTime: 0,
    inputs: coins.map(({ txid, vout }) => ({ txid, vout, sequence: 0xffff_fffd })),
    outputs: [{ script: OTHERS, value }],
  });
}

/** The fault of the error with which a call ends; undefined when it succeeds. */
export const faultOf = (call: Promise<unknown>): Promise<unknown> =>
  call.then(
    () => undefined,
    (error: unknown) => (error instanceof Error && 'fault' in error ? error.fault : error),
  );

type MakerTerms = Partial<Pick<WalletMakerOptions, 'policy' | 'rule' | 'mostCoins'>>;

/** One process of a maker: ends with the next `restart`. */
export class MakerWorld {
  readonly #world: WalletWorld;
  readonly #terms: MakerTerms;
  readonly maker: WalletMaker;
  readonly follower: CoinjoinFollower;

  constructor(world: WalletWorld, terms: MakerTerms) {
    this.#world = world;
    this.#terms = terms;
    const { wallet, chain } = world;
    this.maker = new WalletMaker({
      wallet,
      chain,
      log: silentLog,
      unixTime: () => world.now,
      ...terms,
    });
    this.follower = new CoinjoinFollower(wallet, chain);
  }

  get chain(): MemoryChain {
    return this.#world.chain;
  }

  get wallet(): Wallet {
    return this.#world.wallet;
  }

  get store(): MemoryStore {
    return this.#world.store;
  }

  get now(): number {
    return this.#world.now;
  }

  /** Time passes for the wallet. */
  pass(seconds: number): void {
    this.#world.now += seconds;
  }

  reserve(amount: number): Promise<Reservation | undefined> {
    return this.maker.reserve(requestOf(amount), never);
  }

  /** A reservation, which must succeed. */
  async reserved(amount: number): Promise<Reservation> {
    const reservation = await this.reserve(amount);
    if (reservation === undefined) throw new Error(`no coins for ${amount} sat`);
    return reservation;
  }

  /** A coin of a taker, in a block. */
  takerCoin(value = 100_000_000): Outpoint & { readonly value: number } {
    const { txid, vout } = this.chain.pay(OTHERS, value);
    this.chain.mine();
    return { txid, vout, value };
  }

  /** Signs a coinjoin for a reservation, and settles it. Resolves to its serialization. */
  async sign(
    reservation: Reservation,
    amount: number,
    taker: Outpoint & { readonly value: number } = this.takerCoin(),
  ): Promise<SigningRequest> {
    const request = coinjoinOf(reservation, amount, taker);
    await this.maker.sign(request, never);
    this.maker.settle(reservation, 'signed');
    return request;
  }

  /** Mines, reads the chain and looks at the coinjoins. */
  async mine(blocks = 1): Promise<void> {
    this.chain.mine(blocks);
    await this.read();
  }

  async read(): Promise<void> {
    await this.#world.sync();
    await this.follower.look();
  }

  /** Pays fresh addresses of a mixdepth, in one block. */
  async fund(
    mixdepth: number,
    values: readonly number[],
    purpose: AddressPurpose = 'deposit',
  ): Promise<void> {
    for (const value of values) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      const { script } = await this.wallet.handOut({ mixdepth, purpose });
      this.chain.pay(script, value);
    }
    await this.mine();
  }

  /** The maker as it is after a kill: what is on the disk is opened again. */
  async restart({ isRead = true }: { readonly isRead?: boolean } = {}): Promise<MakerWorld> {
    const world = await this.#world.reopen();
    if (isRead) await world.sync();
    return new MakerWorld(world, this.#terms);
  }

  /** The holds of all coins. */
  holds(): readonly (string | undefined)[] {
    return this.wallet.coins().map(({ hold }) => hold);
  }
}

/** A maker whose mixdepths have these coins. */
export async function makerWorld(
  funds: readonly (readonly number[])[],
  terms: MakerTerms = {},
  secret: Partial<WalletSecret> = {},
): Promise<MakerWorld> {
  const world = new MakerWorld(
    await createWalletWorld({ mixdepths: Math.max(2, funds.length), ...secret }),
    terms,
  );
  // oxlint-disable-next-line no-await-in-loop -- one after the other
  for (const [mixdepth, values] of funds.entries()) await world.fund(mixdepth, values);
  return world;
}
