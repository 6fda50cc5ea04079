/** Wallet files of other programs: what is read is in range, and what is refused has one line. */
import {
  WalletImportError,
  type ForeignWallet,
} from '../../../src/wallet/import/foreign-wallet.js';
import { jmFormOf, readPlainJm } from '../../../src/wallet/import/jm-container.js';
import { readJmPayload } from '../../../src/wallet/import/jm-wallet.js';
import { readNgContent } from '../../../src/wallet/import/ng-wallet.js';
import { foreignFormOf } from '../../../src/wallet/import/read-foreign-wallet.js';
import { readSeedWords, seedOf } from '../../../src/wallet/seed.js';
import { bencode, type Dict } from '../../../test/wallet/import/make-files.js';
import { must, mustEqual, type Target } from '../target.js';

const WORDS = `${'abandon '.repeat(11)}about`;
const TXID = '\u00e0'.repeat(31) + '\u0001';
const PAYLOAD: Dict = {
  network: 'testnet',
  created: '2021/03/04 05:06:07',
  wallet_type: 5,
  entropy: Buffer.alloc(16, 0xab),
  seed_extension: 'extension',
  index_cache: { '0': { '0': 3, '1': 250, '2': 8 }, '4': { '1': 4 } },
  meta: { [`${TXID}0`]: { disabled: 1 }, [`${TXID}17`]: { disabled: 0 } },
  addr_labels: { tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx: 'rent' },
  imported_keys: {
    '0': [
      [Buffer.alloc(32, 7), 2],
      ['', -1],
    ],
  },
};

const jmdat = (payload: Dict): Buffer => Buffer.concat([Buffer.from('JMWALLET'), bencode(payload)]);

function checkWallet(wallet: ForeignWallet): void {
  mustEqual(readSeedWords(seedOf(wallet.entropy).words).ok, true, 'the seed has words');
  must(wallet.networks.length > 0, 'a network');
  must(wallet.mixdepths >= 5 && wallet.mixdepths <= 100, 'mixdepths in range');
  for (const { mixdepth, branch, next } of wallet.indices) {
    must(mixdepth < wallet.mixdepths && (branch === 0 || branch === 1), 'a branch of the wallet');
    must(Number.isSafeInteger(next) && next >= 0 && next <= 1_000_000, 'an index in range');
  }
  for (const { txid, vout } of wallet.frozen) {
    must(/^[0-9a-f]{64}$/.test(txid) && vout >= 0 && vout <= 0xffff_ffff, 'an outpoint');
  }
  for (const { address, label } of wallet.labels) {
    must(/^[0-9A-Za-z]+$/.test(address) && label !== '', 'a label of an address');
  }
  for (const note of wallet.notes) must(!/[\r\n]/.test(note), 'a note is one line');
  const { birthHeight = 0, created = 0 } = wallet;
  must(Number.isSafeInteger(birthHeight) && birthHeight >= 0, 'a height');
  must(Number.isSafeInteger(created) && created >= 0, 'a time');
}

export function walletImportTarget(): Target {
  const meta = { creation_height: 5, fingerprint: '73c5da0a' };
  return {
    name: 'wallet-import',
    seeds: [
      jmdat(PAYLOAD),
      jmdat({ network: 'mainnet', wallet_type: 1, entropy: Buffer.alloc(32) }),
      jmdat({ ...PAYLOAD, wallet_type: 0 }),
      jmdat({ ...PAYLOAD, wallet_type: 6 }),
      Buffer.from(WORDS),
      Buffer.from(JSON.stringify({ mnemonic: WORDS, wallet_type: 'sw', ...meta })),
    ],
    words: ['JMWALLET', 'd', 'e', 'le', 'i1e', 'i-1e', '0:', '4:meta', '11:index_cache', 'abandon'],
    maxBytes: 2_000,
    *run(input) {
      const form = foreignFormOf(input);
      yield form === undefined ? 'unknown' : `${form.program}${form.encrypted ? '-encrypted' : ''}`;
      try {
        const wallet =
          jmFormOf(input) === 'plain' ? readJmPayload(readPlainJm(input)) : readNgContent(input);
        checkWallet(wallet);
        yield `read-${wallet.kind}`;
      } catch (error) {
        if (!(error instanceof WalletImportError)) throw error;
        must(!/[\r\n]/.test(error.message), 'an error is one line');
        yield error.fault;
      }
    },
  };
}
