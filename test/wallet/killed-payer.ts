/**
 * A program that opens a wallet on a real node, signs a payment, and hangs when it is about to send it:
 * started by `life.test.ts` with the folder, the RPC port, the cookie file, the password, the script that
 * is paid, and a label. It prints the txid in place of the broadcast.
 */
import { randomBytes } from 'node:crypto';
import { writeSync } from 'node:fs';
import { openNode } from '../../src/chain/node/open-node.js';
import { systemClock } from '../../src/overlay/system-clock.js';
import { parseTransaction } from '../../src/bitcoin/transaction.js';
import { Payments } from '../../src/wallet/payment/send.js';
import { openWalletStore } from '../../src/wallet/store/store.js';
import { Wallet } from '../../src/wallet/wallet.js';

const [folder = '', port = '', cookieFile = '', password = '', script = '', label] =
  process.argv.slice(2);

const chain = await openNode({
  settings: {
    network: 'regtest',
    host: '127.0.0.1',
    port: Number(port),
    user: '',
    password: '',
    cookieFile,
  },
  clock: systemClock,
});
chain.broadcast = (bytes) => {
  const parsed = parseTransaction(bytes);
  writeSync(1, `${parsed.ok ? parsed.value.txid : parsed.reason}\n`);
  // The parent kills this program; a timer keeps it alive until then.
  setInterval(() => {}, 1_000);
  return new Promise(() => {});
};
const store = await openWalletStore(folder, password, {
  mode: 'write',
  cost: { log2N: 4, r: 8, p: 1 },
});
const wallet = await Wallet.open({
  store,
  chain,
  unixTime: () => Math.floor(Date.now() / 1_000),
  randomBytes: (count) => randomBytes(count),
});
await wallet.sync({ signal: new AbortController().signal });
const payments = new Payments({ wallet, chain, randomBytes: (count) => randomBytes(count) });
const plan = await payments.plan({ amount: 100_000, script, feePerKb: 2_000 });
await payments.send(await payments.sign(plan, label));
