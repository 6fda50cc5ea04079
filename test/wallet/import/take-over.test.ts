/** A wallet that takes over what another program's knew: it is in the journal from the start. */
import { randomBytes } from 'node:crypto';
import t from 'tap';
import { MemoryChain } from '../../../src/chain/memory.js';
import { takenOver } from '../../../src/wallet/new-wallet.js';
import { createWalletStore } from '../../../src/wallet/store/store.js';
import { Wallet } from '../../../src/wallet/wallet.js';
import { testSecret } from '../../helpers/wallet-world.js';
import { COST, PASSWORD } from '../store/scene.js';
import { SimulatedDisk } from '../store/simulated-disk.js';

t.test('indices, frozen coins and labels of a .jmdat', async (t) => {
  const secret = await testSecret();
  const chain = new MemoryChain();
  const first = 'bcrt1qz9mzxs5fx5n5xjtwa5pj55edxh4dqg9rtkg0w9';
  const { txid } = chain.pay('00141176234289352743496eed032a532d35ead020a3', 100_000);
  chain.mine(1);
  const records = takenOver(
    {
      indices: [
        { mixdepth: 0, branch: 0, next: 250 },
        { mixdepth: 1, branch: 1, next: 3 },
      ],
      frozen: [{ txid, vout: 0 }],
      labels: [{ address: first, label: 'rent' }],
      commitments: [],
    },
    secret,
  );
  const store = await createWalletStore(
    '/wallets/old',
    { secret, password: PASSWORD, records },
    { files: new SimulatedDisk(), cost: COST },
  );
  t.same(store.records, records, 'they are there before the wallet is opened');
  const wallet = await Wallet.open({
    store,
    chain,
    unixTime: () => 1_700_000_000,
    randomBytes: (length) => randomBytes(length),
  });
  await wallet.sync({ signal: new AbortController().signal });
  t.match(wallet.coins(), [{ address: first, frozen: 'imported', hold: 'frozen', label: 'rent' }]);
  t.match(await wallet.handOut({ mixdepth: 0, purpose: 'deposit' }), { index: 250 });
  t.match(await wallet.handOut({ mixdepth: 1, purpose: 'coinjoin' }), { index: 3 });
  await wallet.close();
});
