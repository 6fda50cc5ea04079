/** What src/bitcoin says, and what a real node says about the same: addresses, blocks, dust, bonds. */
import { secp256k1 } from '@noble/curves/secp256k1.js';
import t from 'tap';
import { addressOf } from '../../src/bitcoin/address.js';
import { hasProofOfWork, merkleRoot, parseBlock } from '../../src/bitcoin/block.js';
import {
  bondInputKind,
  bondScriptPubKey,
  bondWitnessScript,
  isBondOpen,
} from '../../src/bitcoin/bond.js';
import {
  addressDescriptor,
  rawDescriptor,
  shWpkhDescriptor,
  wpkhDescriptor,
} from '../../src/bitcoin/descriptor.js';
import { dustLimit, feeFor } from '../../src/bitcoin/fee.js';
import { BITCOIN_NETWORKS } from '../../src/bitcoin/network.js';
import { nestedP2wpkh, p2pkh, p2tr, p2wpkh, p2wsh } from '../../src/bitcoin/script.js';
import { SegwitHashes, SIGHASH_ALL } from '../../src/bitcoin/sighash.js';
import { transactionVsize } from '../../src/bitcoin/size.js';
import { parseTransaction, serializeTransaction } from '../../src/bitcoin/transaction.js';
import { startBitcoinNode, type BitcoinNode } from '../helpers/bitcoin-node.js';
import { realNodeTest } from '../helpers/bitcoin-program.js';
import { CoinSource } from '../helpers/coin-source.js';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

const SECRET = new Uint8Array(32).fill(7);
const KEY = secp256k1.getPublicKey(SECRET, true);
const SCRIPTS = {
  p2wpkh: p2wpkh(KEY),
  nested: nestedP2wpkh(KEY),
  p2pkh: p2pkh(KEY),
  p2wsh: p2wsh(Uint8Array.of(0x51)),
  p2tr: p2tr(KEY.subarray(1)),
  bond: bondScriptPubKey(4_099_766_400, hex(KEY)),
} as const;

interface Accept {
  readonly allowed?: boolean;
  readonly 'reject-reason'?: string;
}

async function judged(node: BitcoinNode, transaction: Uint8Array): Promise<Accept> {
  const [answer] = await node.rpc<Accept[]>('testmempoolaccept', [hex(transaction)]);
  return answer ?? {};
}

/** A transaction that redeems a bond of our key, signed with `SegwitHashes`. */
function redemption(
  coin: { readonly txid: string; readonly vout: number; readonly value: number },
  lockTime: number,
): Uint8Array {
  const outputs = [{ script: SCRIPTS.p2wpkh, value: coin.value - 5_000 }];
  const input = { txid: coin.txid, vout: coin.vout, sequence: 0xffff_fffe };
  const parts = { version: 2, lockTime, inputs: [input], outputs };
  const script = bondWitnessScript(lockTime, KEY);
  const hash = new SegwitHashes(parts).ofInput(0, script, coin.value);
  if (hash === undefined) throw new Error('no input');
  const options = { prehash: false, lowS: true, format: 'der' } as const;
  const signature = Uint8Array.from([...secp256k1.sign(hash, SECRET, options), SIGHASH_ALL]);
  const inputs = [{ ...input, witness: [signature, script] }];
  return serializeTransaction({ ...parts, inputs });
}

realNodeTest(t, 'a real node says the same', async (t) => {
  const node = await startBitcoinNode(t, { filterIndex: false });
  const source = new CoinSource(node);
  await source.fill(4);

  await t.test('scripts of addresses', async (t) => {
    for (const [name, script] of Object.entries(SCRIPTS)) {
      const address = addressOf(script, 'regtest');
      // oxlint-disable-next-line no-await-in-loop -- in order
      const answer = await node.rpc<{ isvalid: boolean; scriptPubKey: string }>(
        'validateaddress',
        address,
      );
      t.match(answer, { isvalid: true, scriptPubKey: script }, name);
    }
  });

  await t.test('checksums of descriptors', async (t) => {
    // BIP32's first vector, as a tpub
    const account = {
      fingerprint: '73c5da0a',
      path: '84h/1h/0h',
      publicKey:
        'tpubDC5FSnBiZDMmhiuCmWAYsLwgLYrrT9rAqvTySfuCCrgsWz8wxMXUS9Tb9iVMvcRbvFcAHGkMD5Kx8koh4GquNGNTfohfk7pgjhaPCdXpoba',
    };
    const descriptors = [
      wpkhDescriptor(account, 0),
      shWpkhDescriptor(account, 1),
      addressDescriptor(addressOf(SCRIPTS.bond, 'regtest') ?? ''),
      rawDescriptor(SCRIPTS.bond),
    ];
    for (const descriptor of descriptors) {
      // oxlint-disable-next-line no-await-in-loop -- in order
      const { checksum } = await node.rpc<{ checksum: string }>('getdescriptorinfo', descriptor);
      t.equal(checksum, descriptor.slice(-8), descriptor);
    }
  });

  await t.test('a block with transactions', async (t) => {
    await source.pay([{ script: SCRIPTS.p2tr, value: 10_000 }]);
    await source.pay([{ script: SCRIPTS.bond, value: 10_000 }]);
    const hash = await node.mine();
    const raw = Buffer.from(await node.rpc<string>('getblock', hash, 0), 'hex');
    const told = await node.rpc<{
      merkleroot: string;
      previousblockhash: string;
      tx: { txid: string; hash: string; weight: number; vsize: number }[];
    }>('getblock', hash, 2);
    const block = parseBlock(raw);
    if (!block.ok) throw new Error(block.reason);
    const { header, transactionCount } = block.value;
    t.match(header, { hash, merkleRoot: told.merkleroot, previousHash: told.previousblockhash });
    t.ok(hasProofOfWork(header, BITCOIN_NETWORKS.regtest));
    t.equal(transactionCount, 3);
    const read = Array.from(block.value.transactions(), (item) => {
      if (!item.ok) throw new Error(item.reason);
      const { txid, wtxid, weight, vsize } = item.value;
      return { txid, hash: wtxid, weight, vsize };
    });
    const facts = told.tx.map(({ txid, hash: wtxid, weight, vsize }) => {
      return { txid, hash: wtxid, weight, vsize };
    });
    t.strictSame(read, facts);
    t.equal(merkleRoot(read.map(({ txid }) => txid)), told.merkleroot);
  });

  await t.test('dust', async (t) => {
    for (const [name, script] of Object.entries(SCRIPTS)) {
      const limit = dustLimit(script);
      const judgements = [];
      for (const value of [limit - 1, limit]) {
        // What was built before was not sent, so its coins are there.
        // oxlint-disable-next-line no-await-in-loop -- in order
        await source.refresh();
        // oxlint-disable-next-line no-await-in-loop
        judgements.push(await judged(node, source.build([{ script, value }])));
      }
      const [below, at] = judgements;
      t.match(below, { allowed: false, 'reject-reason': /dust/ }, `${name}: ${limit - 1}`);
      t.match(at, { allowed: true }, `${name}: ${limit}`);
    }
  });

  await t.test('bonds open when the median time is beyond their lock', async (t) => {
    await source.refresh();
    const { mediantime: median } = await node.rpc<{ mediantime: number }>('getblockchaininfo');
    const locks = [median - 1, median, median + 1_000];
    const coins = await source.pay(
      locks.map((lock) => ({ script: bondScriptPubKey(lock, hex(KEY)), value: 50_000 })),
    );
    for (const [n, lock] of locks.entries()) {
      const coin = coins[n];
      if (coin === undefined) throw new Error('nothing was paid');
      const spend = redemption(coin, lock);
      // oxlint-disable-next-line no-await-in-loop -- in order
      const answer = await judged(node, spend);
      t.equal(
        answer.allowed,
        isBondOpen(lock, median),
        `lock time ${lock - median} from the median`,
      );
      if (answer.allowed !== true) t.equal(answer['reject-reason'], 'non-final');
      const parsed = parseTransaction(spend);
      if (!parsed.ok) throw new Error(parsed.reason);
      const most = transactionVsize({ inputs: [bondInputKind(lock)], outputs: [SCRIPTS.p2wpkh] });
      t.ok(
        parsed.value.vsize <= most && parsed.value.vsize >= most - 1,
        'the size is as estimated',
      );
      t.equal(feeFor(most, 1_000), most);
    }
  });
});
