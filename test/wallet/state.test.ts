/** The state of a wallet is a fold over its journal: any story, cut anywhere, replays to the same state. */
import * as fc from 'fast-check';
import t from 'tap';
import { MemoryChain, type Paid } from '../../src/chain/memory.js';
import { serializeTransaction } from '../../src/bitcoin/transaction.js';
import { formatOutpoint } from '../../src/protocol/outpoint.js';
import { WalletError } from '../../src/wallet/api.js';
import { equalAmount } from '../../src/wallet/found.js';
import { parseWalletRecord, type WalletRecord } from '../../src/wallet/records.js';
import { thinned } from '../../src/wallet/scan-progress.js';
import type { JournalValue } from '../../src/wallet/store/api.js';
import type { Lease } from '../../src/wallet/requests.js';
import { createWalletWorld, MemoryStore, type WalletWorld } from '../helpers/wallet-world.js';

/** What happens to a wallet. */
type Step =
  | { readonly do: 'deposit' | 'mine' | 'sync' | 'reopen' | 'full' }
  | {
      readonly do: 'pay' | 'lease' | 'release' | 'sign' | 'freeze' | 'unfreeze';
      readonly at: number;
    }
  | { readonly do: 'reorganize' | 'wait'; readonly by: number };

const at = fc.nat({ max: 20 });
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.constantFrom<Step>(
    { do: 'deposit' },
    { do: 'mine' },
    { do: 'sync' },
    { do: 'reopen' },
    { do: 'full' },
  ),
  fc.record({
    do: fc.constantFrom('pay', 'lease', 'release', 'sign', 'freeze', 'unfreeze' as const),
    at,
  }),
  fc.record({
    do: fc.constantFrom('reorganize', 'wait' as const),
    by: fc.integer({ min: 1, max: 5 }),
  }),
);

/** A wallet, and what must hold of all its answers. */
class Story {
  world: WalletWorld;
  readonly #scripts: string[] = [];
  readonly #handed = new Set<string>();
  readonly #granted: Lease[] = [];
  #last: Paid | undefined;

  constructor(world: WalletWorld) {
    this.world = world;
  }

  async run(what: Step): Promise<void> {
    try {
      await this.#run(what);
    } catch (error) {
      // A refusal is an answer, too.
      if (!(error instanceof WalletError)) throw error;
    }
  }

  async #run(what: Step): Promise<void> {
    const { chain, wallet, store } = this.world;
    switch (what.do) {
      case 'deposit':
        await this.#handOut('deposit');
        break;
      case 'pay': {
        const script = this.#scripts[what.at % Math.max(1, this.#scripts.length)];
        if (script !== undefined) this.#last = chain.pay(script, 100_000 + what.at);
        break;
      }
      case 'mine':
        chain.mine();
        break;
      case 'sync':
        await this.world.sync();
        break;
      case 'reopen':
        this.world = await this.world.reopen();
        await this.world.sync();
        break;
      case 'full': {
        store.isFull = true;
        const failed = await wallet
          .handOut({ mixdepth: 0, purpose: 'deposit' })
          .catch(() => 'failed');
        if (failed !== 'failed')
          throw new Error('an address left the program, and is not on the disk');
        store.isFull = false;
        break;
      }
      case 'lease': {
        const coin = this.#coin(what.at);
        const terms = { owner: `maker ${what.at}`, seconds: 1 + what.at };
        const { lease } = await wallet.lease({ ...terms, coins: coin === undefined ? [] : [coin] });
        this.#checkLease(lease);
        break;
      }
      case 'release': {
        const lease = this.#granted[what.at % Math.max(1, this.#granted.length)];
        if (lease !== undefined && (await wallet.release(lease))) {
          this.#granted.splice(this.#granted.indexOf(lease), 1);
        }
        break;
      }
      case 'sign':
        await this.#sign(what.at);
        break;
      case 'freeze':
      case 'unfreeze': {
        const coin = this.#coin(what.at);
        if (coin !== undefined) await wallet[what.do]([coin]);
        break;
      }
      case 'reorganize': {
        const { height } = await chain.tip();
        const depth = Math.min(what.by, height - 1);
        if (depth > 0) chain.reorganize(depth, this.#rivals());
        break;
      }
      case 'wait':
        this.world.now += what.by;
        break;
    }
  }

  /** The last payment is lost for good, when it can be. */
  #rivals(): { readonly blocks?: number } {
    return this.#last === undefined ? {} : { blocks: 7 };
  }

  #coin(place: number): ReturnType<WalletWorld['wallet']['coins']>[number] | undefined {
    const coins = this.world.wallet.coins();
    return coins[place % Math.max(1, coins.length)];
  }

  async #handOut(purpose: 'deposit' | 'change'): Promise<string> {
    const { script, path } = await this.world.wallet.handOut({ mixdepth: 0, purpose });
    if (this.#handed.has(path)) throw new Error(`${path} was handed out twice`);
    this.#handed.add(path);
    this.#scripts.push(script);
    return script;
  }

  #checkLease(lease: Lease): void {
    const { now } = this.world;
    const names = new Set(lease.coins.map(formatOutpoint));
    for (const other of this.#granted) {
      const isHeld =
        other.until > now && other.coins.some((coin) => names.has(formatOutpoint(coin)));
      if (isHeld) throw new Error('a coin was leased twice');
    }
    this.#granted.push(lease);
  }

  async #sign(place: number): Promise<void> {
    const { wallet, chain } = this.world;
    const coin = this.#coin(place);
    if (coin === undefined) return;
    const open = new Set(
      wallet
        .signedTransactions()
        .filter(({ state }) => state === 'pending')
        .flatMap(({ coins }) => coins.map(formatOutpoint)),
    );
    const script = await this.#handOut('change');
    const { complete } = await wallet.sign({
      transaction: serializeTransaction({
        version: 2,
        lockTime: 0,
        inputs: [{ txid: coin.txid, vout: coin.vout, sequence: 0xffff_fffd }],
        outputs: [{ script, value: coin.value - 1_000 }],
      }),
      kind: 'send',
      coins: [coin],
      mostSpent: 1_000,
    });
    if (open.has(formatOutpoint(coin))) throw new Error('a coin was signed for twice');
    if (complete !== undefined && place % 2 === 0) await chain.broadcast(complete.bytes);
  }
}

/**
 * All that a wallet shows, without what depends on the height: the progress of blocks that have nothing for the
 * wallet is not written each time.
 */
const shown = ({ wallet }: WalletWorld): string =>
  JSON.stringify([
    { ...wallet.summary(), height: 0, bonds: [] },
    wallet.coins().map((coin) => ({ ...coin, confirmations: 0 })),
    wallet.history(),
    wallet.leases(),
    wallet.signedTransactions().map(({ unsignedTxid, state, seen }) => [unsignedTxid, state, seen]),
    wallet.exportLabels(),
  ]);

/** Names of the coins that are in a block. */
const confirmed = ({ wallet }: WalletWorld): readonly string[] =>
  wallet
    .coins()
    .filter(({ height }) => height !== undefined)
    .map(formatOutpoint)
    .toSorted();

t.test(
  'any story: no address, lease or coin twice, and every cut of the journal opens',
  async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { minLength: 5, maxLength: 40 }),
        fc.nat(),
        async (steps, cut) => {
          const chain = new MemoryChain();
          chain.mine(3);
          const story = new Story(await createWalletWorld({}, chain));
          for (const what of steps) await story.run(what);
          await story.world.sync();
          const { world } = story;
          const { store } = world;
          const whole = await world.reopen();
          if (shown(whole) !== shown(world)) throw new Error('the journal says something else');
          // A crash loses the end of the journal: what is left is the state at that time, and the chain tells the rest.
          const records = store.records;
          const part = records.slice(0, cut % (records.length + 1));
          const opened = await world.reopen(new MemoryStore(store.secret, part));
          const [first, second] = [shown(opened), shown(await opened.reopen())];
          if (first !== second) throw new Error('a cut journal is read in two ways');
          await opened.sync();
          if (confirmed(opened).join() !== confirmed(world).join()) {
            throw new Error('a cut journal has other coins after the chain was read');
          }
        },
      ),
      { numRuns: 12 },
    );
  },
);

t.test('records are read as they were written; nothing else is', async (t) => {
  const world = await createWalletWorld();
  await world.wallet.handOut({ mixdepth: 0, purpose: 'deposit', label: 'x' });
  for (const record of world.store.records) t.ok(parseWalletRecord(record).ok);
  const handed = { kind: 'address', place: [0, 0, 5], purpose: 'deposit', time: 5 } as const;
  const rows: readonly (readonly [string, JournalValue, string])[] = [
    ['a later kind', { ...handed, kind: 'silent-payment' }, 'record-kind'],
    ['no kind', { place: [0, 0, 5] }, 'record-kind'],
    ['a kind of every object', { kind: 'toString' }, 'record-kind'],
    ['a list', [], 'record-form'],
    ['a text', 'address', 'record-form'],
    ['a field that is not known', { ...handed, more: 1 }, 'record-form'],
    ['a field that is missing', { kind: 'address', place: [0, 0, 5], time: 5 }, 'record-form'],
    ['another type', { ...handed, time: '5' }, 'record-form'],
    ['a fourth number', { ...handed, place: [0, 0, 5, 6] }, 'record-form'],
    ['a branch that does not exist', { ...handed, place: [0, 3, 5] }, 'record-form'],
    ['upper-case hex', { kind: 'abandoned', unsigned: 'AB'.repeat(32) }, 'record-form'],
    ['a negative amount', { kind: 'rescan', from: -1 }, 'record-form'],
  ];
  for (const [what, value, reason] of rows) {
    t.same(parseWalletRecord(value), { ok: false, reason }, what);
  }
  const later = new MemoryStore(world.store.secret, [{ kind: 'silent-payment' }]);
  await t.rejects(world.reopen(later), {
    message:
      '/memory: the journal has a record of a later version of this program: use that version',
  });
  const foreign = new MemoryStore(world.store.secret, [{ kind: 'seen', unsigned: 5, seen: true }]);
  await t.rejects(world.reopen(foreign), { message: /did not write; put a backup back/ });
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const text = JSON.stringify(value);
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- any JSON
      parseWalletRecord(JSON.parse(text) as JournalValue);
    }),
  );
});

t.test('blocks by which a reorganisation is found: few, and never far apart', (t) => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 400 }),
      (gaps) => {
        let known: readonly { height: number; hash: string }[] = [];
        let height = 0;
        for (const gap of gaps) {
          height += gap;
          known = thinned([{ height, hash: `${height}` }, ...known]);
        }
        const heights = known.map((block) => block.height);
        const depths = heights.map((it) => height - it);
        const isSorted = heights.every((it, i) => i === 0 || it < (heights[i - 1] ?? 0));
        // A reorganisation of depth d is found at most at three times d, and one step more.
        const isDense = depths.every(
          (depth, i) => i < 13 || depth <= 3 * (depths[i - 1] ?? 0) + 100,
        );
        return isSorted && isDense && known.length <= 40 && heights.at(-1) === gaps[0];
      },
    ),
  );
  t.end();
});

t.test('the shape of a coinjoin', (t) => {
  const rows: readonly (readonly [readonly number[], number | undefined])[] = [
    [[5, 5, 1, 2], 5],
    [[5, 5, 1], 5],
    [[5, 5, 5, 1, 2, 3], 5],
    [[5, 5], undefined],
    [[5, 5, 1, 2, 3], undefined],
    [[5, 4, 3], undefined],
    [[], undefined],
  ];
  for (const [values, expected] of rows) t.equal(equalAmount(values), expected, values.join());
  t.end();
});

t.test('every kind of record is known to the reader', (t) => {
  const hash = 'ab'.repeat(32);
  const records: readonly WalletRecord[] = [
    { kind: 'accounts', keys: ['02'.repeat(65)] },
    { kind: 'scripts', mixdepth: 0, branch: 2, from: 0, hashes: '', keys: '' },
    { kind: 'skip', mixdepth: 0, branch: 1, next: 7 },
    { kind: 'outside-bond', publicKey: '02'.repeat(33), index: 5 },
    { kind: 'rewind', height: -1, hash },
    {
      kind: 'unspent',
      coins: [{ coin: [hash, 0], place: [0, 0, 0], value: 1, height: 1, coinbase: true }],
    },
    { kind: 'lost', unsigned: hash, height: 4 },
    { kind: 'commitment', commitment: hash, coin: [hash, 1] },
    { kind: 'reserved', commitment: hash, coin: [hash, 1] },
    { kind: 'reserved', commitment: hash },
    { kind: 'freed', commitment: hash },
    { kind: 'whole', unsigned: hash, txid: hash, bytes: '00' },
    { kind: 'whole', unsigned: hash, txid: hash, bytes: '00', peersOnly: true },
    { kind: 'certificate', coin: [hash, 1], privateKey: hash, expiry: 3, signature: '3044' },
    { kind: 'release', id: 'x' },
  ];
  for (const record of records) {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- records are JSON
    const written = JSON.parse(JSON.stringify(record)) as JournalValue;
    t.same(parseWalletRecord(written), { ok: true, value: record }, record.kind);
  }
  t.end();
});
