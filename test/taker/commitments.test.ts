/** Proofs of a taker: their order, their state on the disk, and commitments.json of the original. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { createPodle } from '../../src/protocol/podle.js';
import { formatOutpoint } from '../../src/protocol/outpoint.js';
import { CommitmentsFileError, TakerCommitmentsFile } from '../../src/taker/commitments-file.js';
import { TakerCommitments } from '../../src/taker/commitments.js';
import { noCommitmentText } from '../../src/taker/commitment-text.js';
import { MemoryChain } from '../../src/chain/memory.js';
import { scriptOf, secretOf } from '../helpers/coinjoin-world.js';
import { deposit } from '../helpers/taker-world.js';
import { createWalletWorld } from '../helpers/wallet-world.js';

const AMOUNT = 1_000_000;
const USED = 'ab'.repeat(32);

/** An entry of the file as the original writes it. */
function entryOf(secret: Uint8Array, coin: { readonly txid: string; readonly vout: number }) {
  const proofs = [0, 1, 2].map((index) => createPodle(secret, coin, index));
  const reveal = Object.fromEntries(
    proofs.map(({ index, revelation: { p2, s, e } }) => [String(index), { P2: p2, s, e }]),
  );
  return { proofs, entry: { P: proofs[0]?.revelation.p, reveal } };
}

async function world() {
  const chain = new MemoryChain({ network: 'signet' });
  const taker = await createWalletWorld({ network: 'signet' }, chain);
  // Old and large; old and small; of another mixdepth.
  await deposit(taker, 0, [600_000, 150_000]);
  await deposit(taker, 1, [900_000]);
  chain.mine(6);
  // Large and new.
  await deposit(taker, 0, [800_000]);
  const secret = secretOf('external');
  const external = chain.pay(scriptOf(secret), 700_000);
  chain.mine(2);
  await taker.sync();
  return { chain, taker, secret, external };
}

t.test('the coins that are spent first, then the mixdepth, then other wallets', async (t) => {
  const { chain, taker, secret, external } = await world();
  const { wallet } = taker;
  const { entry, proofs } = entryOf(secret, external);
  const path = join(t.testdir({}), 'commitments.json');
  await writeFile(
    path,
    JSON.stringify({ used: [USED], external: { [formatOutpoint(external)]: entry } }),
  );
  const file = await TakerCommitmentsFile.open(path);
  const commitments = new TakerCommitments({ wallet, chain, file });
  const [large, small, fresh] = [600_000, 150_000, 800_000].map((value) =>
    wallet.coins().find((coin) => coin.value === value),
  );
  if (large === undefined || small === undefined || fresh === undefined) throw new Error('coins');
  const use = { amount: AMOUNT, mixdepth: 0, coins: [fresh] };
  const before = await commitments.coins(use);
  t.match(before, [
    { value: 800_000, triesLeft: 3, external: false, fault: 'it has 2 of 5 confirmations' },
    { value: 600_000, triesLeft: 3, external: false, fault: undefined },
    { value: 150_000, triesLeft: 3, external: false, fault: /less than 20 % of the amount/ },
    { value: 700_000, triesLeft: 3, external: true, fault: 'it has 2 of 5 confirmations' },
  ]);
  for (const index of [0, 1, 2]) {
    const podle = await commitments.reserve(use);
    t.match(podle, { index, revelation: { utxo: { txid: large.txid, vout: large.vout } } });
    t.ok(podle?.revelation.utxo.metadata, 'named for makers without a full node');
    if (podle !== undefined) await commitments.use(podle);
  }
  t.equal(await commitments.reserve(use), undefined, 'the other coins are too new');
  chain.mine(3);
  await taker.sync();
  const later = await commitments.reserve(use);
  t.match(later?.revelation.utxo, { txid: fresh.txid }, 'the coin that is spent');
  for (let n = 0; n < 2; n += 1) await commitments.reserve(use);
  const other = await commitments.reserve(use);
  t.equal(other?.commitment, proofs[0]?.commitment, 'a coin of another wallet');
  t.same(other?.revelation.utxo.txid, external.txid);
  if (other === undefined) throw new Error('a proof');
  t.notOk(file.has(other.commitment), 'the file says used, not reserved');
  await commitments.use(other);
  t.equal(await file.add(other.commitment), true);
  const written: unknown = JSON.parse(await readFile(path, 'utf8'));
  t.match(written, {
    used: [USED, other.commitment],
    external: { [formatOutpoint(external)]: entry },
  });
  // After a restart only what makers saw is used.
  const again = await taker.reopen();
  await again.sync();
  const next = new TakerCommitments({
    wallet: again.wallet,
    chain,
    file: await TakerCommitmentsFile.open(path),
  });
  t.match(await next.coins(use), [{ triesLeft: 3 }, { triesLeft: 0 }, {}, { triesLeft: 2 }]);
});

t.test('a proof that the original used is not offered again', async (t) => {
  const { chain, taker } = await world();
  const { wallet } = taker;
  const coin = wallet.coins().find(({ value }) => value === 600_000);
  if (coin === undefined) throw new Error('a coin');
  const first = await wallet.commitments.reserve(coin, 3);
  await wallet.commitments.free(first?.commitment ?? '');
  const path = join(t.testdir({}), 'commitments.json');
  await writeFile(path, JSON.stringify({ used: [first?.commitment], external: {} }));
  const file = await TakerCommitmentsFile.open(path);
  const commitments = new TakerCommitments({ wallet, chain, file });
  const use = { amount: AMOUNT, mixdepth: 0, coins: [coin] };
  t.match(await commitments.coins(use), [{ triesLeft: 2 }]);
  t.equal((await commitments.reserve(use))?.index, 1);
});

t.test('a false proof of another wallet is not used', async (t) => {
  const { chain, taker, secret, external } = await world();
  chain.mine(3);
  await taker.sync();
  const { entry } = entryOf(secret, external);
  const other = entryOf(secretOf('another key'), external).entry;
  const damaged = { ...entry, reveal: other.reveal };
  const path = join(t.testdir({}), 'commitments.json');
  await writeFile(path, JSON.stringify({ external: { [formatOutpoint(external)]: damaged } }));
  const { wallet } = taker;
  const file = await TakerCommitmentsFile.open(path);
  const commitments = new TakerCommitments({ wallet, chain, file });
  t.equal(await commitments.reserve({ amount: AMOUNT, mixdepth: 9, coins: [] }), undefined);
});

t.test('a file of another form is refused, and is not touched', async (t) => {
  for (const [text, reason] of [
    ['', 'not a JSON object'],
    ['[]', 'not a JSON object'],
    ['{"used": ["xy"]}', 'a member of "used"'],
    ['{"used": 5}', 'a member of "used"'],
    ['{"external": {"ab:0": {}}}', 'an entry of "external"'],
    [`{"external": {"${USED}:0": {"P": "02", "reveal": {}}}}`, 'an entry of "external"'],
  ] as const) {
    const path = join(t.testdir({}), 'commitments.json');
    await writeFile(path, text);
    await t.rejects(
      TakerCommitmentsFile.open(path),
      { name: CommitmentsFileError.name, message: new RegExp(`${path}: .*${reason}`) },
      text,
    );
    t.equal(await readFile(path, 'utf8'), text);
  }
});

t.test('a missing file, and two programs that write it', async (t) => {
  const path = join(t.testdir({}), 'cmtdata', 'commitments.json');
  const one = await TakerCommitmentsFile.open(path);
  const two = await TakerCommitmentsFile.open(path);
  t.equal(one.size, 0);
  const hashes = Array.from({ length: 5 }, (_, n) => String(n).repeat(64));
  await Promise.all(hashes.slice(0, 3).map((it) => one.add(it)));
  await two.add(hashes[3] ?? '');
  t.equal(await one.add(hashes[3] ?? ''), false, 'the other one used it');
  await one.add(hashes[4] ?? '');
  t.same(JSON.parse(await readFile(path, 'utf8')), { used: hashes, external: {} });
});

t.test('why no proof is left, with the remedy', async (t) => {
  const coin = {
    txid: USED,
    vout: 0,
    value: 100,
    confirmations: 2,
    triesLeft: 3,
    fault: undefined,
    external: false,
  };
  t.equal(noCommitmentText([coin], AMOUNT), undefined);
  for (const [coins, words] of [
    [[], /there is none: wait until a deposit has 5 confirmations/],
    [[{ ...coin, fault: 'it has 2 of 5 confirmations' }], /it has 2 of 5 .*: wait for more/],
    [[{ ...coin, triesLeft: 0 }], /all tries of 1 coin are used: pay a coin to an address/],
  ] as const) {
    t.match(noCommitmentText(coins, AMOUNT), words);
  }
});
