/**
 * A wallet on a chain in memory, and one life of a program that uses it: it hands out addresses, leases
 * a coin, signs for a coinjoin, signs a payment and sends it. The test stops the program between any two of
 * its effects, and compares what a next program finds with the chain and with what had left the program.
 */
import { createHash, randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { parseTransaction, serializeTransaction } from '../../../src/bitcoin/transaction.js';
import { MemoryChain } from '../../../src/chain/memory.js';
import type { Chain } from '../../../src/chain/ports.js';
import { formatOutpoint, type Outpoint } from '../../../src/protocol/outpoint.js';
import { WalletError, type WalletCoin } from '../../../src/wallet/api.js';
import { Payments } from '../../../src/wallet/payment/send.js';
import type { StoreFiles } from '../../../src/wallet/store/files.js';
import { createWalletStore, openWalletStore } from '../../../src/wallet/store/store.js';
import { Wallet } from '../../../src/wallet/wallet.js';
import { createWalletWorld, testSecret } from '../../helpers/wallet-world.js';
import { COST, PASSWORD } from '../store/scene.js';
import { SimulatedDisk } from '../store/simulated-disk.js';

/** Where a life plays. */
export interface Place {
  readonly files: StoreFiles;
  readonly base: string;
  readonly chain: Chain;
}

/** What has left the program, one after the other. */
export type Said =
  | { readonly kind: 'address'; readonly script: string }
  | { readonly kind: 'lease'; readonly coin: Outpoint }
  /** Signatures of a transaction, named by its id without them. */
  | { readonly kind: 'signed'; readonly unsignedTxid: string; readonly coins: readonly Outpoint[] }
  | { readonly kind: 'sent'; readonly bytes: string };

/** A script that is not the wallet's. */
export const OTHERS = `0014${'99'.repeat(20)}`;
const FIRST_COINS = [1_000_000, 2_000_000, 3_000_000];
/** The clock of the wallet, in Unix seconds. */
export const NOW = 1_700_000_000;
const FEE_PER_KB = 5_000;

export const folderIn = ({ base }: Pick<Place, 'base'>): string => join(base, 'wallets', 'main');

/** Opens the wallet; it is not synchronized. */
export async function openWallet({ files, base, chain }: Place): Promise<Wallet> {
  const folder = folderIn({ base });
  const store = await openWalletStore(folder, PASSWORD, { files, mode: 'write', cost: COST });
  const options = { store, chain, unixTime: () => NOW, randomBytes: (n: number) => randomBytes(n) };
  try {
    return await Wallet.open(options);
  } catch (error) {
    await store.close();
    throw error;
  }
}

/** Makes a backup of a closed wallet. */
export async function backUp({ files, base }: Place, path: string): Promise<void> {
  const folder = folderIn({ base });
  const store = await openWalletStore(folder, PASSWORD, { files, mode: 'write', cost: COST });
  await store.backup(path);
  await store.close();
}

export function sync(wallet: Wallet): Promise<unknown> {
  return wallet.sync({ signal: new AbortController().signal });
}

const deposit = { mixdepth: 0, purpose: 'deposit' } as const;

/** The wallet before a life: the files, by path below the base, and the scripts that were paid. */
export interface Start {
  readonly files: Readonly<Record<string, Uint8Array>>;
  readonly paid: readonly string[];
}

/** The chain on which the wallet has its first coins. Always the same one. */
export function startChain(paid: readonly string[]): MemoryChain {
  const chain = new MemoryChain();
  for (const [at, script] of paid.entries()) chain.pay(script, FIRST_COINS[at] ?? 0);
  chain.mine(3);
  return chain;
}

function movedFiles(files: Start['files'], move: (path: string) => string): Start['files'] {
  const moved: Record<string, Uint8Array> = {};
  for (const [path, bytes] of Object.entries(files)) moved[move(path)] = bytes;
  return moved;
}

/** A disk with the wallet as it was before a life. */
export function startDisk({ files }: Start, base: string): SimulatedDisk {
  return SimulatedDisk.of(movedFiles(files, (path) => join(base, path)));
}

/** Makes a wallet and gives it three coins. */
export async function start(): Promise<Start> {
  const files = new SimulatedDisk();
  const place = { files, base: '/', chain: new MemoryChain() };
  const wallet = { secret: await testSecret(), password: PASSWORD };
  await (await createWalletStore(folderIn(place), wallet, { files, cost: COST })).close();
  const first = await openWallet(place);
  await sync(first);
  const paid: string[] = [];
  // oxlint-disable-next-line no-await-in-loop -- one after the other
  for (const _ of FIRST_COINS) paid.push((await first.handOut(deposit)).script);
  await first.close();
  const second = await openWallet({ ...place, chain: startChain(paid) });
  await sync(second);
  await second.close();
  return { files: movedFiles(files.content, (path) => path.slice(1)), paid };
}

const named = ({ txid, vout }: Outpoint): Outpoint => ({ txid, vout });

/** A coinjoin that the wallet makes: a coin of another owner pays the fee. */
function coinjoin(coin: WalletCoin, equal: string, change: string): Uint8Array {
  const foreign = createHash('sha256').update(formatOutpoint(coin)).digest('hex');
  return serializeTransaction({
    version: 2,
    lockTime: 0,
    inputs: [
      { ...named(coin), sequence: 0xffff_fffe },
      { txid: foreign, vout: 0, sequence: 0xffff_fffe },
    ],
    outputs: [
      { script: equal, value: 600_000 },
      { script: change, value: coin.value - 600_000 + 1_000 },
      { script: OTHERS, value: 600_000 },
    ],
  });
}

async function signCoinjoin(wallet: Wallet, coin: WalletCoin, say: (it: Said) => void) {
  const { lease, addresses } = await wallet.lease(
    { owner: 'maker', coins: [named(coin)], seconds: 600 },
    [
      { mixdepth: 1, purpose: 'coinjoin' },
      { mixdepth: 0, purpose: 'change' },
    ],
  );
  const [equal = '', change = ''] = addresses.map(({ script }) => script);
  say({ kind: 'lease', coin: named(coin) });
  for (const script of [equal, change]) say({ kind: 'address', script });
  const { unsignedTxid } = await wallet.sign({
    transaction: coinjoin(coin, equal, change),
    kind: 'coinjoin-maker',
    coins: [named(coin)],
    mostSpent: 0,
    lease: lease.id,
    coinjoin: { amount: 600_000, earned: 1_000, script: equal },
  });
  say({ kind: 'signed', unsignedTxid, coins: [named(coin)] });
}

/** The first coin that can be spent, by value. */
function freeCoin(wallet: Wallet): WalletCoin {
  const free = wallet.coins().filter(({ hold }) => hold === undefined);
  const [coin] = free.toSorted((a, b) => a.value - b.value);
  if (coin === undefined) throw new Error('a coin is free');
  return coin;
}

/** One life: rejects where it is stopped. */
export async function live(place: Place, say: (it: Said) => void): Promise<void> {
  const wallet = await openWallet(place);
  try {
    await sync(wallet);
    say({ kind: 'address', script: (await wallet.handOut(deposit)).script });
    await signCoinjoin(wallet, freeCoin(wallet), say);
    const { chain } = place;
    const payments = new Payments({ wallet, chain, randomBytes: (n) => randomBytes(n) });
    const request = { amount: 300_000, script: OTHERS, mixdepth: 0, feePerKb: FEE_PER_KB };
    const payment = await payments.sign(await payments.plan(request));
    const signed = wallet.signedTransactions().find(({ txid }) => txid === payment.txid);
    if (signed === undefined) throw new Error('a signed payment is in the journal');
    say({ kind: 'signed', unsignedTxid: signed.unsignedTxid, coins: signed.coins });
    await payments.send(payment);
  } finally {
    await wallet.close();
  }
}

/** A chain whose `broadcast` is an effect of the program. */
export function spiedChain(
  chain: MemoryChain,
  effect: <T>(what: string, run: () => Promise<T>) => Promise<T>,
  say: (it: Said) => void,
): Chain {
  return new Proxy<Chain>(chain, {
    get(target, name) {
      if (name === 'broadcast') {
        return (bytes: Uint8Array) =>
          effect('broadcast', async () => {
            await target.broadcast(bytes);
            say({ kind: 'sent', bytes: Buffer.from(bytes).toString('hex') });
          });
      }
      const value: unknown = Reflect.get(target, name);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

const refusal = (call: Promise<unknown>): Promise<string | undefined> =>
  call.then(
    () => undefined,
    (error: unknown) => {
      if (error instanceof WalletError) return error.fault;
      throw error;
    },
  );

const unspentOf = (wallet: Wallet): readonly string[] =>
  wallet
    .coins()
    .map((coin) => `${formatOutpoint(coin)} ${coin.value} ${coin.confirmations}`)
    .toSorted();

/** The coins that a wallet has which is recovered from the seed on this chain. */
async function recovered(chain: MemoryChain): Promise<readonly string[]> {
  const { wallet } = await createWalletWorld({}, chain);
  const coins = unspentOf(wallet);
  await wallet.close();
  return coins;
}

/** What a transaction would be that spends a coin for something else. */
function rival(coin: Outpoint): Uint8Array {
  return serializeTransaction({
    version: 2,
    lockTime: 0,
    inputs: [{ ...named(coin), sequence: 0xffff_fffd }],
    outputs: [{ script: OTHERS, value: 10_000 }],
  });
}

const signAgain = (wallet: Wallet, coin: Outpoint): Promise<string | undefined> =>
  refusal(
    wallet.sign({
      transaction: rival(coin),
      kind: 'send',
      coins: [named(coin)],
      mostSpent: Number.MAX_SAFE_INTEGER,
    }),
  );

/** Why the wallet does not sign another transaction for the first coin of this one; undefined if it does. */
export async function signRival(wallet: Wallet, sent: Uint8Array): Promise<string | undefined> {
  const parsed = parseTransaction(sent);
  const coin = parsed.ok ? parsed.value.inputs[0] : undefined;
  if (coin === undefined) throw new Error('a transaction has an input');
  return signAgain(wallet, coin);
}

async function signedFaults(wallet: Wallet, said: readonly Said[]): Promise<readonly string[]> {
  const faults: string[] = [];
  for (const it of said) {
    if (it.kind === 'lease') {
      const request = { owner: 'other', coins: [it.coin], seconds: 60 };
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      if ((await refusal(wallet.lease(request))) === undefined) faults.push('leased twice');
    }
    if (it.kind !== 'signed') continue;
    const found = wallet.signedTransactions().find((tx) => tx.unsignedTxid === it.unsignedTxid);
    if (found?.state !== 'pending') faults.push(`signed, and ${found?.state ?? 'forgotten'}`);
    for (const coin of it.coins) {
      const { hold, signedFor } = wallet
        .coins()
        .find((each) => formatOutpoint(each) === formatOutpoint(coin)) ?? {
        hold: 'signed',
        signedFor: it.unsignedTxid,
      };
      if (hold !== 'signed' || signedFor === undefined) faults.push(`a signed coin is ${hold}`);
      // oxlint-disable-next-line no-await-in-loop
      if ((await signAgain(wallet, coin)) === undefined) faults.push('signed twice');
    }
  }
  return faults;
}

/** Everything that is wrong after a program was stopped, which had said this. */
export async function faultsAfter(
  place: Place & { readonly chain: MemoryChain },
  said: readonly Said[],
  paid: readonly string[],
): Promise<readonly string[]> {
  const { chain } = place;
  const faults: string[] = [];
  const wallet = await openWallet(place);
  try {
    if ((await refusal(wallet.handOut(deposit))) !== 'chain') {
      faults.push('an address is handed out before the chain was read');
    }
    await sync(wallet);
    faults.push(...(await signedFaults(wallet, said)));
    const sent = said.flatMap((it) => (it.kind === 'sent' ? [it.bytes] : []));
    for (const bytes of sent) {
      const parsed = parseTransaction(Buffer.from(bytes, 'hex'));
      const txid = parsed.ok ? parsed.value.txid : '';
      const isKnown = wallet.signedTransactions().some((tx) => tx.txid === txid);
      if (!isKnown) faults.push('sent, and not in the journal');
    }
    // A payment that was signed is sent now, and once only.
    const payments = new Payments({ wallet, chain, randomBytes: (n) => randomBytes(n) });
    for (const { outcome } of await payments.resume()) {
      if (outcome.kind !== 'sent') faults.push(`a signed payment: ${outcome.kind}`);
    }
    chain.mine(1);
    await sync(wallet);
    const outside = new Set(paid);
    for (const it of said) if (it.kind === 'address') outside.add(it.script);
    for (const request of [
      deposit,
      { mixdepth: 1, purpose: 'coinjoin' },
      { mixdepth: 0, purpose: 'change' },
    ] as const) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      const { script } = await wallet.handOut(request);
      if (outside.has(script)) faults.push(`an address is handed out twice: ${request.purpose}`);
    }
    const coins = JSON.stringify(unspentOf(wallet));
    if (coins !== JSON.stringify(await recovered(chain))) faults.push('other coins than the chain');
  } finally {
    await wallet.close();
  }
  return faults;
}
