/** A maker's wallet in a folder of its own, with an encrypted journal on the disk and coins for many sessions. */
import { randomBytes } from 'node:crypto';
import { mkdtempSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MemoryChain } from '../../src/chain/memory.js';
import { silentLog } from '../../src/channel/log.js';
import { WalletMaker } from '../../src/maker/wallet-maker.js';
import type { ChainView } from '../../src/negotiation/ports.js';
import { formatOutpoint } from '../../src/protocol/outpoint.js';
import { createWalletStore } from '../../src/wallet/store/store.js';
import { Wallet } from '../../src/wallet/wallet.js';
import { testSecret } from '../../test/helpers/wallet-world.js';
import { NETWORK, type SharedCoin } from './coinjoin-scene.js';

/** Two such coins pay for a session. */
const COIN = 600_000;
const MIXDEPTH = 1;
/** The password is not what is measured. */
const COST = { log2N: 4, r: 8, p: 1 };

const unixTime = (): number => 1_700_000_000;

export interface BusyWallet {
  readonly wallet: WalletMaker;
  readonly chain: MemoryChain;
  close(): Promise<void>;
}

/** @param file where its coins are written for the takers, as JSON */
export async function openBusyWallet(sessions: number, file: string): Promise<BusyWallet> {
  const folder = mkdtempSync(join(tmpdir(), 'onionmc-bench-'));
  const chain = new MemoryChain({ network: NETWORK });
  chain.mine(10);
  const secret = await testSecret({ network: NETWORK });
  const store = await createWalletStore(
    join(folder, 'wallet'),
    { secret, password: 'bench' },
    { cost: COST },
  );
  const wallet = await Wallet.open({
    store,
    chain,
    unixTime,
    randomBytes: (bytes) => randomBytes(bytes),
  });
  const { signal } = new AbortController();
  await wallet.sync({ signal });
  for (let n = 0; n < 2 * sessions; n++) {
    // oxlint-disable-next-line no-await-in-loop -- one address after the other
    const { script } = await wallet.handOut({ mixdepth: MIXDEPTH, purpose: 'deposit' });
    chain.pay(script, COIN);
  }
  chain.mine(6);
  await wallet.sync({ signal });
  const coins = wallet
    .coins()
    .map(({ txid, vout, script, value }): SharedCoin => ({ txid, vout, script, value }));
  await writeFile(file, JSON.stringify(coins));
  return {
    wallet: new WalletMaker({ wallet, chain, log: silentLog, unixTime }),
    chain,
    async close() {
      await wallet.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Coins of the takers in one chain, all others in the wallet's. */
export function withTakers(own: ChainView, takers: ChainView): ChainView {
  return {
    ...takers,
    async coins(outpoints, signal) {
      const [theirs, ours] = await Promise.all([
        takers.coins(outpoints, signal),
        own.coins(outpoints, signal),
      ]);
      return outpoints.map((outpoint, n) => {
        const found = theirs[n] ?? ours[n];
        if (found === undefined) throw new Error(`no coin ${formatOutpoint(outpoint)}`);
        return found;
      });
    },
  };
}
