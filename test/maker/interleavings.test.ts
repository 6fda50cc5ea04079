/**
 * Sessions, restarts and blocks in any order. A book beside the wallet knows what was named and signed, and
 * finds every coin or address that two sessions could use at once.
 */
import * as fc from 'fast-check';
import t from 'tap';
import { sumOf } from '../../src/negotiation/payout.js';
import type { Reservation, SigningRequest } from '../../src/negotiation/ports.js';
import { DUST_THRESHOLD } from '../../src/protocol/offer.js';
import type { Outpoint } from '../../src/protocol/outpoint.js';
import {
  coinjoinOf,
  EARNED,
  makerWorld,
  namesOf,
  never,
  spendingOf,
  type MakerWorld,
} from '../helpers/maker-wallet-world.js';

const OVERDUE = 3_660;
const LEASE = 600;

interface Session {
  readonly reservation: Reservation;
  readonly amount: number;
  readonly at: number;
}

interface Signature extends Session {
  readonly request: SigningRequest;
  readonly taker: Outpoint & { readonly value: number };
}

type Step =
  | { readonly kind: 'reserve'; readonly amount: number }
  | { readonly kind: 'reserve twice'; readonly amount: number }
  | { readonly kind: 'give up'; readonly which: number }
  | { readonly kind: 'sign'; readonly which: number }
  | { readonly kind: 'sign too late'; readonly which: number }
  | { readonly kind: 'confirm'; readonly which: number }
  | { readonly kind: 'conflict'; readonly which: number }
  | { readonly kind: 'reorganise' }
  | { readonly kind: 'pass'; readonly seconds: number }
  | { readonly kind: 'restart' };

const which = fc.nat(20);
const amount = fc.integer({ min: 30_000, max: 250_000 });
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('reserve' as const), amount }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('reserve twice' as const), amount }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('give up' as const), which }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('sign' as const), which }) },
  fc.record({ kind: fc.constant('sign too late' as const), which }),
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('confirm' as const), which }) },
  fc.record({ kind: fc.constant('conflict' as const), which }),
  fc.constant({ kind: 'reorganise' as const }),
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('pass' as const),
      seconds: fc.constantFrom(1, 300, 599, 600, 3_000, 3_660),
    }),
  },
  { weight: 2, arbitrary: fc.constant({ kind: 'restart' as const }) },
);

const large = { kind: 'reserve', amount: 250_000 } as const;
const sign = { kind: 'sign', which: 0 } as const;
const pass = (seconds: number): Step => ({ kind: 'pass', seconds });

/** Orders that random ones seldom have: a signed coin is the only one that holds the amount. */
const ORDERS: readonly (readonly Step[])[] = [
  [large, sign, large, pass(3_000), large, pass(600), large, pass(60), large, sign, large],
  [large, sign, { kind: 'restart' }, large, pass(3_000), large, pass(660), large, sign],
  [large, sign, { kind: 'confirm', which: 0 }, { kind: 'reorganise' }, large, pass(599), large],
  [large, sign, { kind: 'conflict', which: 0 }, large, sign, large, { kind: 'reorganise' }, large],
];

const shares = (a: Reservation, b: Reservation): boolean => {
  const names = new Set(namesOf(a));
  return namesOf(b).some((name) => names.has(name));
};

class Book {
  world: MakerWorld;
  #sessions: Session[] = [];
  /** Signatures that left; they may be used by anybody at any time. */
  #signed: Signature[] = [];
  readonly #addresses = new Set<string>();

  constructor(world: MakerWorld) {
    this.world = world;
  }

  async take(it: Step): Promise<void> {
    const { world } = this;
    switch (it.kind) {
      case 'reserve':
        return this.#note(it.amount, await world.reserve(it.amount));
      case 'reserve twice': {
        const both = await Promise.all([world.reserve(it.amount), world.reserve(it.amount)]);
        for (const reservation of both) this.#note(it.amount, reservation);
        return;
      }
      case 'give up': {
        const session = this.#drop(it.which);
        if (session !== undefined) world.maker.settle(session.reservation, 'unsigned');
        return;
      }
      case 'sign':
        return this.#sign(this.#drop(it.which));
      case 'sign too late': {
        const session = this.#drop(it.which);
        if (session === undefined || !this.#isOpen(session)) return;
        const request = coinjoinOf(session.reservation, session.amount, world.takerCoin());
        const signing = world.maker.sign(request, never).catch(() => {});
        world.maker.settle(session.reservation, 'unsigned');
        await signing;
        return;
      }
      case 'confirm':
      case 'conflict': {
        const signature = this.#signed[it.which % Math.max(1, this.#signed.length)];
        if (signature === undefined) return;
        const { request, taker } = signature;
        const transaction =
          it.kind === 'confirm' ? request.transaction : spendingOf([taker], 5_000_000);
        // One that spends what is gone cannot be mined.
        if (!(await this.#isMinable(signature, it.kind))) return;
        world.chain.mine(1, { transactions: [transaction], withoutMempool: true });
        return world.read();
      }
      case 'reorganise':
        world.chain.reorganize(1, { blocks: 2 });
        return world.read();
      case 'pass':
        return world.pass(it.seconds);
      case 'restart':
        this.#sessions = [];
        this.world = await world.restart();
        return;
    }
  }

  async #isMinable({ request, taker }: Signature, kind: 'confirm' | 'conflict'): Promise<boolean> {
    const coins = kind === 'confirm' ? [taker, ...request.inputs.map(({ coin }) => coin)] : [taker];
    const found = await this.world.chain.coins(coins);
    // A coin of a lost block is in the mempool, and the block of this step has none of those.
    return found.every((coin) => coin !== undefined && coin.confirmations > 0);
  }

  /** A lease that is over holds nothing: the session would find out when it signs. */
  #isOpen({ at }: Session): boolean {
    return this.world.now - at < LEASE;
  }

  #drop(at: number): Session | undefined {
    return this.#sessions.splice(at % Math.max(1, this.#sessions.length), 1)[0];
  }

  #note(size: number, reservation: Reservation | undefined): void {
    if (reservation === undefined) return;
    const { coins, coinjoinAddress, changeAddress } = reservation;
    for (const address of [coinjoinAddress, changeAddress]) {
      if (this.#addresses.has(address)) throw new Error('an address is handed out twice');
      this.#addresses.add(address);
    }
    if (sumOf(coins) - size + EARNED < DUST_THRESHOLD) throw new Error('the change is dust');
    const places = this.world.wallet.coins();
    const mixdepths = coins.map(
      ({ script }) => places.find((it) => it.script === script)?.mixdepth,
    );
    if (new Set(mixdepths).size !== 1) throw new Error('coins of two mixdepths');
    const session = { reservation, amount: size, at: this.world.now };
    for (const other of this.#sessions) {
      if (this.#isOpen(other) && shares(other.reservation, reservation)) {
        throw new Error('two sessions have one coin');
      }
    }
    for (const other of this.#signed) {
      const isFresh = this.world.now - other.at < OVERDUE && !this.#isSettled(other);
      if (isFresh && shares(other.reservation, reservation)) {
        throw new Error('a coin of a signed transaction is named again');
      }
    }
    this.#sessions.push(session);
  }

  #isSettled({ request }: Signature): boolean {
    const found = this.world.maker.coinjoins().find((it) => it.unsignedTxid === request.txid);
    if (found === undefined) throw new Error('a signature left that the journal does not know');
    return found.state !== 'pending';
  }

  async #sign(session: Session | undefined): Promise<void> {
    if (session === undefined) return;
    const { world } = this;
    const { reservation } = session;
    const taker = world.takerCoin();
    const request = coinjoinOf(reservation, session.amount, taker);
    const fault = await world.maker.sign(request, never).then(
      () => undefined,
      (error: unknown) => error,
    );
    world.maker.settle(reservation, fault === undefined ? 'signed' : 'unsigned');
    if (fault !== undefined) return;
    for (const other of this.#signed) {
      const isFresh = world.now - other.at < OVERDUE && !this.#isSettled(other);
      if (isFresh && shares(other.reservation, reservation)) throw new Error('signed twice');
    }
    this.#signed.push({ ...session, at: world.now, request, taker });
  }

  /** What the wallet has is what it had, and what its coinjoins earned. */
  async check(total: number): Promise<void> {
    // What a lost block had is in the mempool.
    await this.world.mine();
    const earned = this.world.maker
      .coinjoins()
      .filter(({ state }) => state === 'confirmed')
      .reduce((sum, it) => sum + it.earned, 0);
    const { total: now } = this.world.wallet.summary();
    if (now !== total + earned) throw new Error(`${now} sat, and not ${total} and ${earned}`);
  }
}

t.test('any order of sessions, signatures, blocks and restarts', async (t) => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 30 }), async (steps) => {
      const book = new Book(await makerWorld([[120_000], [300_000, 80_000, 150_000]]));
      const { total } = book.world.wallet.summary();
      for (const it of steps) {
        // oxlint-disable-next-line no-await-in-loop -- one after the other
        await book.take(it);
      }
      await book.check(total);
    }),
    { numRuns: 10 + ORDERS.length, examples: ORDERS.map((steps): [Step[]] => [[...steps]]) },
  );
  t.pass('no coin and no address is given twice');
});
