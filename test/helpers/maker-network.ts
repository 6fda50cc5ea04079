/**
 * A directory and makers with wallets on a real node, over loopback, for commands of a taker: the makers run in
 * the process of the test, the taker is a process of its own.
 */
import { randomBytes } from 'node:crypto';
import { bytesToHex } from '@noble/hashes/utils.js';
import type { Test } from 'tap';
import { silentLog } from '../../src/channel/log.js';
import { openMessageChannel } from '../../src/channel/message-channel.js';
import type { NodeChain } from '../../src/chain/node/node-chain.js';
import { WalletMaker } from '../../src/maker/wallet-maker.js';
import type { MakerOutcome } from '../../src/negotiation/maker/api.js';
import type { ChainView, MakerWallet } from '../../src/negotiation/ports.js';
import { createLoopbackOverlay } from '../../src/overlay/loopback.js';
import { systemClock } from '../../src/overlay/system-clock.js';
import { formatLocation } from '../../src/protocol/location.js';
import { createNickKey } from '../../src/protocol/nick.js';
import type { Offer } from '../../src/protocol/offer.js';
import { startMaker } from '../../src/roles/maker.js';
import { Wallet } from '../../src/wallet/wallet.js';
import { startBitcoinNode, type BitcoinNode } from './bitcoin-node.js';
import { CoinSource } from './coin-source.js';
import { createMemoryCommitments } from './coinjoin-world.js';
import { loopbackConfig } from './config.js';
import { serveDirectory } from './directory-service.js';
import { openTestNode } from './node-chain.js';
import { MemoryStore, testSecret } from './wallet-world.js';
import { rpcLines } from './wallet-cli.js';

/** A maker of the network. */
export interface NetworkMaker {
  readonly nick: string;
  readonly wallet: Wallet;
  readonly offer: Offer;
  /** How its sessions ended. */
  readonly outcomes: readonly MakerOutcome[];
  /** Ends its negotiations and leaves. */
  leave(): Promise<void>;
}

export interface NetworkOptions {
  /** Fees of the makers: one maker for each. */
  readonly fees?: readonly number[];
  /** Replaces calls of a maker's wallet. */
  readonly dress?: (wallet: MakerWallet, n: number) => MakerWallet;
  /** Replaces calls of the makers to the chain. */
  readonly dressChain?: (chain: ChainView) => ChainView;
}

export interface MakerNetwork {
  readonly node: BitcoinNode;
  readonly chain: NodeChain;
  readonly source: CoinSource;
  readonly makers: readonly NetworkMaker[];
  /** The text of a `joinmarket.cfg` for takers. */
  config(more?: { readonly policy?: readonly string[]; readonly nodes?: string }): string;
}

const MAKER_COIN = 50_000_000;
/** Sessions that hang hold a coin each. */
const MAKER_COINS = 4;

const unixTime = (): number => Math.floor(Date.now() / 1_000);
const forever = new AbortController().signal;

async function openMakerWallet(chain: NodeChain): Promise<Wallet> {
  const secret = await testSecret({ entropy: bytesToHex(randomBytes(16)), created: unixTime() });
  const wallet = await Wallet.open({
    store: new MemoryStore(secret),
    chain,
    unixTime,
    randomBytes: (length) => randomBytes(length),
  });
  await wallet.sync({ signal: forever });
  return wallet;
}

const offerOf = (fee: number): Offer => ({
  type: 'sw0absoffer',
  oid: 0,
  minsize: 100_000,
  maxsize: MAKER_COIN - 1_000_000,
  txfee: 0,
  cjfee: String(fee),
});

/** Starts a node, a directory and makers; the end of the test stops them. */
export async function startMakerNetwork(
  t: Test,
  {
    fees = [100, 200, 300],
    dress = (wallet) => wallet,
    dressChain = (chain) => chain,
  }: NetworkOptions = {},
): Promise<MakerNetwork> {
  const node = await startBitcoinNode(t);
  const source = new CoinSource(node);
  await source.fill(10);
  const chain = await openTestNode(t, node);
  const served = createLoopbackOverlay({ host: '127.0.0.1', port: 0 });
  const directory = await serveDirectory(t, served, systemClock, 'J5directory', 'regtest');
  const wallets = await Promise.all(fees.map(() => openMakerWallet(chain)));
  for (let n = 0; n < MAKER_COINS; n++) {
    // oxlint-disable-next-line no-await-in-loop -- each payment spends the change of the one before
    const deposits = await Promise.all(
      wallets.map((wallet) => wallet.handOut({ mixdepth: 0, purpose: 'deposit' })),
    );
    // oxlint-disable-next-line no-await-in-loop
    await source.pay(deposits.map(({ script }) => ({ script, value: MAKER_COIN })));
  }
  await node.mine(6);
  const makers = await Promise.all(
    wallets.map(async (wallet, n): Promise<NetworkMaker> => {
      await wallet.sync({ signal: forever });
      const offer = offerOf(fees[n] ?? 0);
      const outcomes: MakerOutcome[] = [];
      const channel = openMessageChannel({
        network: 'regtest',
        directories: [directory.location],
        overlay: createLoopbackOverlay({ host: '127.0.0.1', port: 0 }),
        nickKey: createNickKey((length) => randomBytes(length)),
        serve: true,
        clock: systemClock,
        random: Math.random,
        log: silentLog,
      });
      const own = new WalletMaker({ wallet, chain, log: silentLog, unixTime });
      const following = new AbortController();
      const followed = own.follow({
        signal: following.signal,
        clock: systemClock,
        onChange: () => {},
        onFault: () => {},
      });
      const maker = startMaker({
        channel,
        offers: [offer],
        clock: systemClock,
        log: silentLog,
        requestLimits: { orderbookNickMs: 0 },
        blacklist: { store: createMemoryCommitments() },
        coinjoins: {
          network: 'regtest',
          wallet: dress(own, n),
          chain: dressChain(chain),
          onOutcome: (_, outcome) => outcomes.push(outcome),
        },
      });
      let left: Promise<void> | undefined;
      const leave = (): Promise<void> => {
        left ??= (async () => {
          maker.stop();
          await channel.close();
          following.abort();
          await followed;
          await own.idle();
          await wallet.close();
        })();
        return left;
      };
      t.teardown(leave);
      return { nick: channel.nick, wallet, offer, outcomes, leave };
    }),
  );
  return {
    node,
    chain,
    source,
    makers,
    config({ policy = [], nodes = formatLocation(directory.location) } = {}) {
      return loopbackConfig({
        nodes,
        waitSec: 10,
        blockchain: ['network = regtest', ...rpcLines(node)].join('\n'),
        extra: ['[POLICY]', 'minimum_makers = 2', 'tx_broadcast = self', ...policy].join('\n'),
      });
    },
  };
}
