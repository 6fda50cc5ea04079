/** The wallets of the demo, with coins and bonds on its chain. */
import { randomBytes } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BondMonth } from '../../bitcoin/bond.js';
import type { TransactionOutput } from '../../bitcoin/transaction.js';
import { BondCertificates } from '../../bonds/bond-certificates.js';
import type { OwnBond } from '../../protocol/fidelity-bond.js';
import { makeTemporaryFolder, sweepTemporaryFolders } from '../../tor/process/temporary-folder.js';
import { newWalletSecret } from '../../wallet/new-wallet.js';
import { generateSeed } from '../../wallet/seed.js';
import { createWalletStore } from '../../wallet/store/store.js';
import { Wallet } from '../../wallet/wallet.js';
import { NETWORK, startDemoChain, type DemoChain } from './chain.js';
import type { Progress } from './overlays.js';

/** A participant with a wallet. */
export interface Purse {
  readonly name: string;
  readonly wallet: Wallet;
  /** Certified for now; makers have one. */
  readonly bond: OwnBond | undefined;
}

export interface DemoMoney {
  /** For further files. */
  readonly folder: string;
  readonly chain: DemoChain;
  readonly makers: readonly Purse[];
  readonly taker: Purse;
  /** The participant that has the key of a script. */
  ownerOf(script: string): string | undefined;
  /** Mines what waits in the mempool; resolves when all wallets have read it. */
  mine(blocks: number): Promise<void>;
  /** Ends the node and removes all files. */
  close(): Promise<void>;
}

/** The same beginning as the folder of the private Tor network, so that the next demo removes both. */
const PREFIX = 'omc-';
/** Where the output of a coinjoin goes, and where the coins come from. */
const MIXDEPTHS = 2;
/** The folders live for a minute: an attack on their password is pointless. */
const QUICK = { log2N: 4, r: 8, p: 1 };
/** Confirmations of the coin that a taker proves: five, and one for its block. */
const AGE = 6;
/** Coins of the taker in mixdepth 0, satoshi. */
const TAKER_COINS = [6_200_000, 9_300_000, 4_100_000] as const;
/** Coins of a maker in its two mixdepths, times its number, satoshi. */
const MAKER_COINS = [8_000_000, 25_000_000] as const;
/** Times the number of the maker, satoshi. */
const BOND = 100_000_000;
/** Months from now until the bonds end. */
const BOND_MONTHS = 24;
const BOND_START = { year: 2020, months: 12 } as const;

export const unixTime = (): number => Math.floor(Date.now() / 1000);

/** The month in which the bonds end. */
function bondMonth(now: Date): BondMonth {
  const { year, months } = BOND_START;
  const index = (now.getUTCFullYear() - year) * months + now.getUTCMonth() + BOND_MONTHS;
  const month = BondMonth.ofIndex(index);
  if (month === undefined) throw new Error('the demo knows no month for its bonds');
  return month;
}

async function openWallet(folder: string, { chain }: DemoChain): Promise<Wallet> {
  const { height } = await chain.tip();
  const { secret } = await newWalletSecret({
    network: NETWORK,
    kind: 'native',
    mixdepths: MIXDEPTHS,
    birthHeight: height,
    created: unixTime(),
    seed: generateSeed(12, randomBytes),
    passphrase: '',
  });
  const password = randomBytes(16).toString('hex');
  const store = await createWalletStore(folder, { secret, password }, { cost: QUICK });
  return Wallet.open({ store, chain, unixTime, randomBytes });
}

/** Deposits that a wallet awaits. */
async function depositsOf(
  wallet: Wallet,
  coins: readonly { readonly mixdepth: number; readonly value: number }[],
): Promise<readonly TransactionOutput[]> {
  const outputs: TransactionOutput[] = [];
  for (const { mixdepth, value } of coins) {
    // oxlint-disable-next-line no-await-in-loop -- each address is written before the next one
    const { script } = await wallet.handOut({ mixdepth, purpose: 'deposit' });
    outputs.push({ script, value });
  }
  return outputs;
}

/**
 * Rejects when the signal is aborted, or the node does not start; no process and no file is left then.
 */
export async function openMoney(
  makers: number,
  signal: AbortSignal,
  progress: Progress,
  startChain: typeof startDemoChain = startDemoChain,
): Promise<DemoMoney> {
  await sweepTemporaryFolders(tmpdir(), PREFIX);
  const folder = await makeTemporaryFolder(tmpdir(), PREFIX);
  const closers: (() => Promise<void>)[] = [
    () => rm(folder, { recursive: true, force: true, maxRetries: 5 }),
  ];
  const close = async (): Promise<void> => {
    for (const closer of closers.splice(0).toReversed()) {
      // oxlint-disable-next-line no-await-in-loop -- the wallets before the node, the files last
      await closer();
    }
  };
  try {
    const chain = await startChain(folder, signal, progress);
    closers.push(() => chain.close());
    const wallets: Wallet[] = [];
    const open = async (name: string): Promise<Wallet> => {
      signal.throwIfAborted();
      const wallet = await openWallet(join(folder, 'wallets', name), chain);
      closers.push(() => wallet.close());
      wallets.push(wallet);
      await wallet.sync({ signal });
      return wallet;
    };
    const sync = async (): Promise<void> => {
      await Promise.all(wallets.map((wallet) => wallet.sync({ signal })));
    };
    const month = bondMonth(new Date());
    const outputs: TransactionOutput[] = [];
    const owners: { readonly name: string; readonly wallet: Wallet }[] = [];
    for (let number = 1; number <= makers; number += 1) {
      // oxlint-disable-next-line no-await-in-loop -- the derivation of its addresses is work
      const wallet = await open(`maker-${number}`);
      const coins = MAKER_COINS.map((value, mixdepth) => ({ mixdepth, value: value * number }));
      // oxlint-disable-next-line no-await-in-loop
      outputs.push(...(await depositsOf(wallet, coins)));
      // oxlint-disable-next-line no-await-in-loop
      const { script } = await wallet.handOutBond(month.index);
      outputs.push({ script, value: BOND * number });
      owners.push({ name: `maker ${number}`, wallet });
    }
    const taker = await open('taker');
    const coins = TAKER_COINS.map((value) => ({ mixdepth: 0, value }));
    outputs.push(...(await depositsOf(taker, coins)));
    await chain.fund(outputs);
    await chain.mine(AGE);
    await sync();
    const purses: Purse[] = [];
    for (const owner of owners) {
      // oxlint-disable-next-line no-await-in-loop
      purses.push({ ...owner, bond: await certifiedBond(owner.wallet, chain) });
    }
    progress('wallets', `${makers} makers with a bond each, and a taker`);
    const all = [...owners, { name: 'taker', wallet: taker }];
    return {
      folder,
      chain,
      makers: purses,
      taker: { name: 'taker', wallet: taker, bond: undefined },
      ownerOf: (script) => all.find(({ wallet }) => wallet.placeOf(script) !== undefined)?.name,
      async mine(blocks) {
        await chain.mine(blocks);
        await sync();
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

async function certifiedBond(wallet: Wallet, { chain }: DemoChain): Promise<OwnBond | undefined> {
  const coin = wallet.coins().find(({ lockTime }) => lockTime !== undefined);
  if (coin === undefined) return undefined;
  return (await new BondCertificates(wallet, chain).certify(coin)).bond;
}
