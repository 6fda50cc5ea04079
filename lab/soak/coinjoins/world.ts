/** The world of the soak: a node on regtest, a directory, twelve makers and a taker, each with a wallet. */
import { bytesToHex } from '@noble/hashes/utils.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { utf8ToBytes } from '@noble/hashes/utils.js';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Chain } from '../../../src/chain/ports.js';
import { BitcoinNode, freePort } from '../../../src/lab/bitcoin-node/node.js';
import { createLoopbackOverlay } from '../../../src/overlay/loopback.js';
import type { Outpoint } from '../../../src/protocol/outpoint.js';
import type { Location } from '../../../src/protocol/location.js';
import type { RequestLimits } from '../../../src/negotiation/maker/request-limits.js';
import { startDirectoryNode, type DirectoryNode } from '../../../src/roles/directory-node.js';
import { openNode } from '../../../src/chain/node/open-node.js';
import { systemClock } from '../../../src/overlay/system-clock.js';
import { CoinSource } from '../../../test/helpers/coin-source.js';
import { settingsOf } from '../../../test/helpers/node-chain.js';
import { Accountant } from './accountant.js';
import type { KnownCoin } from './party-keys.js';
import { MAKER_MIXDEPTHS, NETWORK, SHORTENED, TAKER_MIXDEPTHS } from './settings.js';
import { SoakMaker } from './soak-maker.js';
import { SoakTaker } from './soak-taker.js';
import { SoakWallet } from './soak-wallet.js';

export interface WorldOptions {
  readonly makers: number;
  readonly seed: number;
  /** Limits of the makers for requests; by default so high that they never matter. */
  readonly limits?: Partial<RequestLimits> | undefined;
}

/** Satoshi of the coins that makers begin with, in each mixdepth. */
const MAKER_COINS = [60_000_000, 35_000_000] as const;
/** Coins of the taker in each mixdepth, so that it has proofs for all rounds. */
const TAKER_COINS = [9_000_000, 8_000_000, 7_000_000, 6_000_000] as const;
const COINS_OF_SOURCE = 12;
/** Blocks at the end of a soak. */
const SETTLING_BLOCKS = 3;
/** Longest wait for sessions that nobody continues: the longest of their times and a margin. */
const SETTLING_MS = SHORTENED.txWaitMs + SHORTENED.portWaitMs;

const range = (count: number): readonly number[] => Array.from({ length: count }, (_, n) => n);
/** Confirmations that the coin of a proof needs. */
const AGE = 6;

export class World {
  readonly node: BitcoinNode;
  readonly chain: Chain;
  readonly source: CoinSource;
  readonly accountant: Accountant;
  readonly makers: readonly SoakMaker[];
  readonly taker: SoakTaker;
  readonly directory: Location;
  readonly #close: () => Promise<void>;
  /** Opens a wallet that is closed with the world. */
  readonly openWallet: (name: string, mixdepths: number) => Promise<SoakWallet>;
  /** Of files that disappear with the world. */
  readonly place: string;

  private constructor(
    parts: Omit<
      World,
      'mine' | 'fund' | 'addTaker' | 'coinOf' | 'synced' | 'close' | 'broadcast' | 'settle'
    >,
    close: () => Promise<void>,
  ) {
    this.node = parts.node;
    this.chain = parts.chain;
    this.source = parts.source;
    this.accountant = parts.accountant;
    this.makers = parts.makers;
    this.taker = parts.taker;
    this.directory = parts.directory;
    this.openWallet = parts.openWallet;
    this.place = parts.place;
    this.#close = close;
  }

  static async open({ makers: count, seed, limits }: WorldOptions): Promise<World> {
    const closers: (() => Promise<unknown>)[] = [];
    const close = async (): Promise<void> => {
      for (const closer of closers.splice(0).toReversed()) await closer();
    };
    try {
      const place = await mkdtemp(join(tmpdir(), 'onionmc-soak-'));
      closers.push(() => rm(place, { recursive: true, force: true, maxRetries: 5 }));
      const node = new BitcoinNode(place, await freePort(), await freePort(), {
        // Blocks are few and small: reading them is quicker than searching filters.
        filterIndex: false,
        args: ['-txindex=1'],
      });
      closers.push(() => node.stop('SIGKILL'));
      await node.start();
      const source = new CoinSource(node);
      await source.fill(COINS_OF_SOURCE);
      const chain = await openNode({
        settings: settingsOf(node),
        clock: systemClock,
        pollMs: SHORTENED.pollMs,
      });
      closers.push(() => chain.close());
      const overlay = createLoopbackOverlay({ host: '127.0.0.1', port: 0 });
      const directory: DirectoryNode = await startDirectoryNode({ network: NETWORK, overlay });
      closers.push(() => directory.close());

      const bytesOf = (text: string): Uint8Array => sha256(utf8ToBytes(`soak ${seed} ${text}`));
      const openWallet = async (name: string, mixdepths: number): Promise<SoakWallet> => {
        const entropy = bytesOf(`wallet ${name}`).slice(0, 16);
        const terms = { entropy, mixdepths };
        const wallet = await SoakWallet.create(join(place, 'wallets'), name, chain, terms);
        closers.push(() => wallet.close());
        return wallet;
      };
      const makers: SoakMaker[] = [];
      for (let n = 1; n <= count; n += 1) {
        const name = `maker-${n}`;
        const wallet = await openWallet(name, MAKER_MIXDEPTHS);
        const maker = new SoakMaker({
          name,
          wallet,
          chain,
          directory: directory.location,
          nickSecret: bytesOf(`nick ${name}`),
          limits,
        });
        closers.push(() => maker.close());
        makers.push(maker);
      }
      const takerWallet = await openWallet('taker', TAKER_MIXDEPTHS);
      const taker = new SoakTaker({
        wallet: takerWallet,
        chain,
        directory: directory.location,
        commitmentsFile: join(place, 'commitments.json'),
      });
      const accountant = new Accountant(node, [
        ...makers.map((m) => m.wallet.keys),
        takerWallet.keys,
      ]);
      const world = new World(
        {
          node,
          chain,
          source,
          accountant,
          makers,
          taker,
          directory: directory.location,
          openWallet,
          place,
        },
        close,
      );
      for (const maker of makers)
        await world.fund(maker.wallet, range(MAKER_MIXDEPTHS), MAKER_COINS);
      await world.fund(takerWallet, range(TAKER_MIXDEPTHS), TAKER_COINS);
      await world.mine(AGE);
      await Promise.all(makers.map((maker) => maker.start()));
      return world;
    } catch (error) {
      await close();
      throw error;
    }
  }

  /** Pays coins into mixdepths of a wallet; they wait in the mempool. */
  async fund(
    wallet: SoakWallet,
    mixdepths: readonly number[],
    values: readonly number[],
  ): Promise<void> {
    for (const mixdepth of mixdepths) {
      const outputs: { readonly script: string; readonly value: number }[] = [];
      for (const value of values) {
        const { script } = await wallet.open.handOut({ mixdepth, purpose: 'deposit' });
        outputs.push({ script, value });
      }
      await this.source.pay(outputs);
    }
  }

  /** Another taker, with coins in its first mixdepth. They wait in the mempool. */
  async addTaker(name: string): Promise<SoakTaker> {
    const wallet = await this.openWallet(name, 2);
    await this.fund(wallet, [0], TAKER_COINS);
    const commitmentsFile = join(this.place, `${name}.json`);
    return new SoakTaker({ wallet, chain: this.chain, directory: this.directory, commitmentsFile });
  }

  /** An output of a transaction in a block, spent or not. Needs the index of transactions. */
  async coinOf({ txid, vout }: Outpoint): Promise<KnownCoin> {
    const tx = await this.node.rpc<{
      vout: readonly { readonly value: number; readonly scriptPubKey: { readonly hex: string } }[];
    }>('getrawtransaction', txid, true);
    const output = tx.vout[vout];
    if (output === undefined) throw new Error(`${txid}:${vout} does not exist`);
    return { txid, vout, script: output.scriptPubKey.hex, value: Math.round(output.value * 1e8) };
  }

  async broadcast(transaction: Uint8Array): Promise<void> {
    await this.node.rpc('sendrawtransaction', bytesToHex(transaction));
  }

  /** Mines the mempool and some blocks above it; resolves when accountant and wallets have read them. */
  async mine(blocks: number): Promise<void> {
    await this.node.mine(blocks);
    await this.synced();
  }

  async synced(): Promise<void> {
    await this.accountant.read();
    await Promise.all(
      [this.taker, ...this.makers].map(({ wallet }) => wallet).map((w) => w.sync()),
    );
  }

  /** Waits for what runs, and compares all books with the chain: what differs, one line each. */
  async settle(): Promise<readonly string[]> {
    const left: string[] = [];
    const until = performance.now() + SETTLING_MS;
    while (performance.now() < until && this.makers.some(({ isBusy }) => isBusy)) {
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    await this.mine(SETTLING_BLOCKS);
    await this.accountant.audit();
    for (const { wallet } of [...this.makers, this.taker]) {
      const { name } = wallet.keys;
      const { total } = wallet.open.summary();
      const onChain = this.accountant.balanceOf(name);
      if (total !== onChain)
        left.push(`${name}: ${total} sat in its books, ${onChain} on the chain`);
      const leases = wallet.open.leases().length;
      if (leases > 0) left.push(`${name}: ${leases} leases`);
    }
    for (const maker of this.makers) {
      if (maker.sessions > 0) left.push(`${maker.name}: ${maker.sessions} sessions`);
      if (maker.reservations > 0) left.push(`${maker.name}: ${maker.reservations} reservations`);
      left.push(...maker.faults);
    }
    return left;
  }

  close(): Promise<void> {
    return this.#close();
  }
}
