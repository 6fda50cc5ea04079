/** Blocks full of payments to a wallet, on a real node: coins that need no signature pay them. */
import { bytesToHex } from '@noble/hashes/utils.js';
import { parseTransaction, serializeTransaction } from '../../src/bitcoin/transaction.js';
import { deriveEach, keyScript, type BranchKey } from '../../src/wallet/derive.js';
import type { BitcoinNode } from '../../test/helpers/bitcoin-node.js';

/** OP_TRUE. */
const ANYONE = '51';
const PER_BLOCK = 100;
const VALUE = 100_000;
const FEE = 1_000;
const FINAL = 0xffff_ffff;

function txidOf(bytes: Uint8Array): string {
  const read = parseTransaction(bytes);
  if (!read.ok) throw new Error(read.reason);
  return read.value.txid;
}

/** One transaction with so many coins for anyone, from a block reward. */
async function fanOut(node: BitcoinNode, height: number, count: number): Promise<string> {
  const hash = await node.rpc<string>('getblockhash', height);
  const { tx } = await node.rpc<{ tx: string[] }>('getblock', hash);
  const bytes = serializeTransaction({
    version: 2,
    lockTime: 0,
    inputs: [{ txid: tx[0] ?? '', vout: 0, sequence: FINAL }],
    outputs: Array.from({ length: count }, () => ({ script: ANYONE, value: VALUE + FEE })),
  });
  await node.mineExactly([bytesToHex(bytes)]);
  return txidOf(bytes);
}

/** Payments to the branches in turn, each in a transaction of its own, 100 in a block. */
export async function fillWithPayments(
  node: BitcoinNode,
  branches: readonly BranchKey[],
  count: number,
): Promise<void> {
  await node.mine(101);
  const txid = await fanOut(node, 1, count);
  const each = Math.ceil(count / branches.length);
  const scripts = await Promise.all(
    branches.map((branch) => deriveEach(branch, 0, each, keyScript('native'))),
  );
  const payments = Array.from({ length: count }, (_, vout) =>
    bytesToHex(
      serializeTransaction({
        version: 2,
        lockTime: 0,
        inputs: [{ txid, vout, sequence: FINAL }],
        outputs: [
          {
            script: scripts[vout % branches.length]?.[Math.floor(vout / branches.length)] ?? ANYONE,
            value: VALUE,
          },
        ],
      }),
    ),
  );
  for (let from = 0; from < count; from += PER_BLOCK) {
    // oxlint-disable-next-line no-await-in-loop -- one block after the other
    await node.mineExactly(payments.slice(from, from + PER_BLOCK));
  }
}
