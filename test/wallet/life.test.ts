/**
 * The life of a wallet on a real node: a deposit, a program that is killed between signing and sending, the
 * payment, a bond. Afterwards nothing of the wallet lies in the folder of the node.
 */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex, hexToBytes } from '@noble/hashes/utils.js';
import { createBase58check } from '@scure/base';
import { HDKey } from '@scure/bip32';
import { mnemonicToSeedSync } from '@scure/bip39';
import t, { type Test } from 'tap';
import { BondMonth } from '../../src/bitcoin/bond.js';
import { BITCOIN_NETWORKS } from '../../src/bitcoin/network.js';
import { OwnBonds } from '../../src/bonds/own-bonds.js';
import type { NodeChain } from '../../src/chain/node/node-chain.js';
import { BRANCH } from '../../src/wallet/api.js';
import { newWalletSecret } from '../../src/wallet/new-wallet.js';
import { Payments } from '../../src/wallet/payment/send.js';
import { parseWalletRecord } from '../../src/wallet/records.js';
import { generateSeed } from '../../src/wallet/seed.js';
import type { WalletSecret } from '../../src/wallet/store/api.js';
import { createWalletStore, openWalletStore } from '../../src/wallet/store/store.js';
import { Wallet } from '../../src/wallet/wallet.js';
import { startBitcoinNode, type BitcoinNode } from '../helpers/bitcoin-node.js';
import { realNodeTest } from '../helpers/bitcoin-program.js';
import { CoinSource } from '../helpers/coin-source.js';
import { openTestNode } from '../helpers/node-chain.js';
import { testScript } from '../helpers/test-keys.js';
import { bundle } from './store/children.js';

const PASSWORD = 'only for tests';
const COST = { log2N: 4, r: 8, p: 1 };
const PAYEE = testScript(7);
const LABELS = ['the label of a deposit', 'the label of a payment'] as const;
const { signal } = new AbortController();
const random = (count: number): Uint8Array => randomBytes(count);
const seed = generateSeed(12, random);
const unixTime = (): number => Math.floor(Date.now() / 1_000);

async function newWallet(folder: string): Promise<WalletSecret> {
  const { secret } = await newWalletSecret({
    network: 'regtest',
    kind: 'native',
    mixdepths: 1,
    birthHeight: 0,
    created: 1_700_000_000,
    seed,
    passphrase: '',
  });
  await (await createWalletStore(folder, { secret, password: PASSWORD }, { cost: COST })).close();
  return secret;
}

interface Opened {
  readonly wallet: Wallet;
  readonly payments: Payments;
}

/** Opens the wallet and reads the chain. */
async function open(folder: string, chain: NodeChain): Promise<Opened> {
  const store = await openWalletStore(folder, PASSWORD, { mode: 'write', cost: COST });
  const wallet = await Wallet.open({ store, chain, unixTime, randomBytes: random });
  await wallet.sync({ signal });
  return { wallet, payments: new Payments({ wallet, chain, randomBytes: random }) };
}

/** Txids of the signed transactions that a reader of the folder finds. */
async function signedOnDisk(folder: string): Promise<readonly (string | undefined)[]> {
  const store = await openWalletStore(folder, PASSWORD, { mode: 'read', cost: COST });
  const records = store.records.map(parseWalletRecord);
  await store.close();
  return records.flatMap((it) =>
    it.ok && it.value.kind === 'signed' ? [it.value.whole?.txid] : [],
  );
}

/** A program signs a payment and is killed before it sends it. Resolves to the txid. */
async function killedBeforeSending(t: Test, folder: string, node: BitcoinNode): Promise<string> {
  const file = bundle(join(import.meta.dirname, 'killed-payer.ts'), dirname(folder));
  const args = [file, folder, String(node.rpcPort), node.cookieFile, PASSWORD, PAYEE, LABELS[1]];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(child, 'exit');
  for await (const txid of createInterface({ input: child.stdout })) {
    t.same(await signedOnDisk(folder), [txid], 'it is on the disk');
    child.kill('SIGKILL');
    t.same(await ended, [null, 'SIGKILL']);
    t.same(await node.rpc('getrawmempool'), [], 'the node has not seen it');
    return txid;
  }
  throw new Error(`the program ended by itself: ${String(await ended)}`);
}

/** All files of a folder, by name. */
async function filesOf(folder: string): Promise<ReadonlyMap<string, Buffer>> {
  const files = new Map<string, Buffer>();
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    // oxlint-disable-next-line no-await-in-loop -- some files
    if (entry.isFile()) files.set(path.slice(folder.length), await readFile(path));
  }
  return files;
}

/** What must be in no node: keys, in binary form too, and the words of the wallet. */
function secretsOf({ entropy }: WalletSecret): ReadonlyMap<string, string | Buffer> {
  const root = HDKey.fromMasterSeed(mnemonicToSeedSync(seed.words), BITCOIN_NETWORKS.regtest.bip32);
  const account = root.derive("m/84'/1'/0'");
  const { privateKey } = account.derive('m/0/0');
  if (privateKey === null || account.chainCode === null) throw new Error('the keys are private');
  const wif = createBase58check(sha256).encode(Uint8Array.of(0xef, ...privateKey, 1));
  const binary = {
    entropy: hexToBytes(entropy),
    'chain code': account.chainCode,
    'private key': privateKey,
    'account key': account.publicKey ?? new Uint8Array(),
  };
  return new Map<string, string | Buffer>([
    ...LABELS.map((label) => [label, label] as const),
    ['words', seed.words],
    ['tprv', root.privateExtendedKey],
    ['account tprv', account.privateExtendedKey],
    ['account tpub', account.publicExtendedKey],
    ['WIF', wif],
    ...Object.entries(binary).map(([name, bytes]) => [name, Buffer.from(bytes)] as const),
    ...Object.entries(binary).map(([name, bytes]) => [`${name}, hex`, bytesToHex(bytes)] as const),
  ]);
}

/** Extended keys, keys in WIF, and descriptors with a script or a key, of any wallet. */
const SHAPES = [
  /[tx](?:pub|prv)[1-9A-HJ-NP-Za-km-z]{60}/,
  /(?<!\w)[5KLc9][1-9A-HJ-NP-Za-km-z]{50,51}(?!\w)/,
  /(?:pkh|sh|tr|pk|combo|multi|raw|addr)\([\w[\]'/*,]{16}/,
];

realNodeTest(t, 'the life of a wallet', async (t) => {
  // This node could have wallets. Its blocks are readable as they are, so that a search finds what is in them.
  const node = await startBitcoinNode(t, { wallet: true, args: ['-blocksxor=0'] });
  const source = new CoinSource(node);
  await source.fill(2);
  const chain = await openTestNode(t, node);
  const folder = join(t.testdir(), 'wallet');
  const secret = await newWallet(folder);

  const first = await open(folder, chain);
  const request = { mixdepth: 0, purpose: 'deposit', label: LABELS[0] } as const;
  const { script } = await first.wallet.handOut(request);
  await source.pay([{ script, value: 500_000 }]);
  await node.mine();
  await first.wallet.close();

  let sent = 0;
  const broadcast = chain.broadcast.bind(chain);
  chain.broadcast = (bytes) => {
    sent += 1;
    return broadcast(bytes);
  };
  const txid = await killedBeforeSending(t, folder, node);
  const { wallet, payments } = await open(folder, chain);
  t.teardown(() => wallet.close());

  await t.test('the payment is sent once, after the program was killed', async (t) => {
    t.match(wallet.signedTransactions(), [{ txid, state: 'pending' }]);
    t.match(wallet.coins(), [{ value: 500_000, hold: 'signed', signedFor: txid }]);
    const another = payments.plan({ amount: 1_000, script: PAYEE, feePerKb: 2_000 });
    await t.rejects(another, { message: /./, fault: 'funds' });
    t.match(await payments.resume(), [{ txid, outcome: { kind: 'sent' } }]);
    t.match(await payments.resume(), [{ txid, outcome: { kind: 'sent' } }], 'the node has it');
    t.equal(sent, 1);
    t.same(await node.rpc('getrawmempool'), [txid]);
    await node.mine();
    await wallet.sync({ signal });
    t.match(wallet.history().at(-1), { txid, kind: 'send', state: 'confirmed', label: LABELS[1] });
    t.same(await payments.resume(), [], 'nothing is open');
    t.equal(sent, 1);
  });

  await t.test('the node is killed between signing and sending', async (t) => {
    const plan = await payments.plan({ amount: 50_000, script: PAYEE, feePerKb: 2_000 });
    const signed = await payments.sign(plan);
    await node.flush();
    await node.stop('SIGKILL');
    t.match(await payments.send(signed), { kind: 'waiting' });
    t.match(await payments.resume(), [{ txid: signed.txid, outcome: { kind: 'waiting' } }]);
    t.ok(
      wallet.coins().every(({ hold }) => hold === 'signed'),
      'its coin is held',
    );
    await node.start();
    t.match(await payments.resume(), [{ txid: signed.txid, outcome: { kind: 'sent' } }]);
    t.same(await node.rpc('getrawmempool'), [signed.txid]);
    await node.mine();
    await wallet.sync({ signal });
    t.match(wallet.history().at(-1), { txid: signed.txid, state: 'confirmed' });
  });

  await t.test('a bond', async (t) => {
    const bonds = new OwnBonds({ wallet, chain, payments, unixTime });
    const now = new Date();
    const month = BondMonth.ofIndex((now.getUTCFullYear() - 2020) * 12 + now.getUTCMonth() + 2);
    if (month === undefined) throw new Error('no such month');
    const { place } = await bonds.address(month);
    await source.pay([{ script: place.script, value: 1_000_000 }]);
    await node.mine();
    await wallet.sync({ signal });
    const [bond] = wallet.coins().filter(({ branch }) => branch === BRANCH.bond);
    t.match(bond, { value: 1_000_000, hold: 'locked' });
    if (bond === undefined) throw new Error('one bond');
    t.match(await bonds.certify(bond, 3), { file: /\S/ });
  });

  await t.test('no key, descriptor or label lies in the node', async (t) => {
    t.same(await node.rpc('listwallets'), []);
    t.same(await node.rpc('listwalletdir'), { wallets: [] });
    await node.stop();
    const files = await filesOf(node.datadir);
    const containing = (needle: string | Buffer): readonly string[] =>
      Array.from(files, ([name, bytes]) => (bytes.includes(needle) ? name : '')).filter(Boolean);
    t.match(
      containing(Buffer.from(script, 'hex')).join(),
      /blk00000\.dat/,
      'the search finds a script',
    );
    t.match(containing('UpdateTip').join(), /debug\.log/, 'and lines of the log');
    for (const [name, needle] of secretsOf(secret)) t.same(containing(needle), [], name);
    for (const [name, bytes] of files) {
      const text = bytes.toString('latin1');
      for (const shape of SHAPES) t.notOk(shape.test(text), `${shape} in ${name}`);
    }
  });
});
