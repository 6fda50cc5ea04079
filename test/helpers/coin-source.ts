/** Pays scripts on a real node without a wallet in it: coins of a test key, signed here. */
import { bytesToHex } from '@noble/hashes/utils.js';
import { parseTransaction } from '../../src/bitcoin/transaction.js';
import type { BitcoinNode } from './bitcoin-node.js';
import type { Outpoint } from '../../src/protocol/outpoint.js';
import { signedTransaction, testScript, type TestCoin } from './test-keys.js';

const FEE = 5_000;

function txidOf(bytes: Uint8Array): string {
  const parsed = parseTransaction(bytes);
  if (!parsed.ok) throw new Error(`not a transaction: ${parsed.reason}`);
  return parsed.value.txid;
}

export class CoinSource {
  readonly #node: BitcoinNode;
  readonly #script = testScript(0);
  /** Coins of the source, the next one to spend first. */
  #coins: TestCoin[] = [];
  /** A coin that a payment of the source has spent. */
  lastSpent: Outpoint | undefined;

  constructor(node: BitcoinNode) {
    this.#node = node;
  }

  /** Mines `count` coins that can be spent, and 100 blocks above them. */
  async fill(count = 10): Promise<void> {
    await this.#node.mine(count, this.#script);
    await this.#node.mine(100);
    await this.refresh();
  }

  /** Reads the coins from the node again, after a reorganisation. */
  async refresh(): Promise<void> {
    const { height, unspents } = await this.#node.rpc<{
      height: number;
      unspents: { txid: string; vout: number; amount: number; height: number; coinbase: boolean }[];
    }>('scantxoutset', 'start', [`raw(${this.#script})`]);
    const coins = unspents
      .filter((coin) => !coin.coinbase || height - coin.height >= 100)
      .map(({ txid, vout, amount }) => ({
        txid,
        vout,
        script: this.#script,
        value: Math.round(amount * 1e8),
      }));
    // The scan lists coins that the mempool spends.
    const outputs = await Promise.all(
      coins.map(({ txid, vout }) => this.#node.rpc('gettxout', txid, vout, true)),
    );
    this.#coins = coins.filter((_, i) => outputs[i] !== null);
  }

  /** A transaction that pays these outputs first, and its change behind them. */
  build(outputs: readonly { readonly script: string; readonly value: number }[]): Uint8Array {
    const needed = outputs.reduce((sum, { value }) => sum + value, FEE + 1_000);
    const index = this.#coins.findIndex(({ value }) => value >= needed);
    const [coin] = index < 0 ? [] : this.#coins.splice(index, 1);
    if (coin === undefined) throw new Error('the source has no coin that is large enough');
    this.lastSpent = { txid: coin.txid, vout: coin.vout };
    const change = { script: this.#script, value: coin.value - needed + 1_000 };
    const bytes = signedTransaction([coin], [...outputs, change]);
    const txid = txidOf(bytes);
    this.#coins.push({ txid, vout: outputs.length, ...change });
    return bytes;
  }

  /** Pays into the mempool. */
  async pay(
    outputs: readonly { readonly script: string; readonly value: number }[],
  ): Promise<TestCoin[]> {
    const bytes = this.build(outputs);
    const txid = await this.#node.rpc<string>('sendrawtransaction', bytesToHex(bytes));
    return outputs.map((output, vout) => ({ txid, vout, ...output }));
  }
}
