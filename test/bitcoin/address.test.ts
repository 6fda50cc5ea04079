/** Addresses of every network and kind; the vectors are those of BIP173, BIP350 and BIP84. */
import { bech32, bech32m, createBase58check } from '@scure/base';
import { sha256 } from '@noble/hashes/sha2.js';
import * as fc from 'fast-check';
import t from 'tap';
import {
  addressFaultText,
  addressOf,
  addressScript,
  parseAddress,
} from '../../src/bitcoin/address.js';
import { BITCOIN_NETWORKS } from '../../src/bitcoin/network.js';
import { NETWORKS } from '../../src/protocol/constants.js';

const LETTERS = Array.from('qpzry9x8gf2tvdw0s3jn54khce6mua7l');
const WPKH = '0014751e76e8199196d454941c45d1b3a323f1433bd6';
const WSH = '00201863143c14c5166804bd19203356da136c985678cd4d27a1b8c6329604903262';
const TR = '512079be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798';
const PKH = '76a914751e76e8199196d454941c45d1b3a323f1433bd688ac';
const SH = 'a914bcfeb728b584253d5f3f70bcb780e9ef218a68f487';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

t.test('addresses of every network and kind', (t) => {
  const table = [
    ['mainnet', 'p2wpkh', 'bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4', WPKH],
    ['testnet', 'p2wpkh', 'tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx', WPKH],
    ['signet', 'p2wpkh', 'tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx', WPKH],
    ['regtest', 'p2wpkh', 'bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080', WPKH],
    ['mainnet', 'p2wsh', 'bc1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3qccfmv3', WSH],
    ['testnet', 'p2wsh', 'tb1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3q0sl5k7', WSH],
    ['mainnet', 'p2tr', 'bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0', TR],
    ['mainnet', 'p2pkh', '1BgGZ9tcN4rm9KBzDn7KprQz87SZ26SAMH', PKH],
    ['testnet', 'p2pkh', 'mrCDrCybB6J1vRfbwM5hemdJz73FwDBC8r', PKH],
    ['regtest', 'p2pkh', 'mrCDrCybB6J1vRfbwM5hemdJz73FwDBC8r', PKH],
    ['mainnet', 'p2sh', '3JvL6Ymt8MVWiCNHC7oWU6nLeHNJKLZGLN', SH],
  ] as const;
  for (const [network, kind, address, script] of table) {
    t.strictSame(parseAddress(address, network), { ok: true, value: { kind, script } }, address);
    t.equal(addressOf(script, network), address);
    t.equal(addressScript(network, address), script);
  }
  const upper = 'BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4';
  t.match(parseAddress(upper, 'mainnet'), { ok: true, value: { script: WPKH } }, 'upper case');
  t.end();
});

t.test('an address of another network is named', (t) => {
  const table = [
    ['bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4', 'signet', 'address-of-mainnet'],
    ['tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx', 'mainnet', 'address-of-testnet'],
    ['tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx', 'regtest', 'address-of-testnet'],
    ['bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080', 'mainnet', 'address-of-regtest'],
    ['1BgGZ9tcN4rm9KBzDn7KprQz87SZ26SAMH', 'regtest', 'address-of-mainnet'],
    ['mrCDrCybB6J1vRfbwM5hemdJz73FwDBC8r', 'mainnet', 'address-of-testnet'],
  ] as const;
  for (const [address, network, reason] of table) {
    t.strictSame(parseAddress(address, network), { ok: false, reason }, `${address} on ${network}`);
  }
  t.equal(addressFaultText('address-of-regtest'), 'is an address of regtest');
  t.end();
});

t.test('texts that are no addresses', (t) => {
  const table = [
    // BIP350
    ['tc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vq5zuyut', 'address-form'],
    ['bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqh2y7hd', 'address-checksum'],
    ['BC1S0XLXVLHEMJA6C4DQV22UAPCTQUPFHLXM9H8Z3K2E72Q4K9HCZ7VQ54WELL', 'address-checksum'],
    ['bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kemeawh', 'address-checksum'],
    ['bc1p38j9r5y49hruaue7wxjce0updqjuyyx0kh56v8s25huc6995vvpql3jow4', 'address-checksum'],
    ['BC130XLXVLHEMJA6C4DQV22UAPCTQUPFHLXM9H8Z3K2E72Q4K9HCZ7VQ7ZWS8R', 'address-program'],
    ['bc1pw5dgrnzv', 'address-form'],
    [
      'bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7v8n0nx0muaewav253zgeav',
      'address-program',
    ],
    ['BC1QR508D6QEJXTDG4Y5R3ZARVARYV98GJ9P', 'address-program'],
    ['tb1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vq47Zagq', 'address-case'],
    ['bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7v07qwwzcrf', 'address-program'],
    ['bc1gmk9yu', 'address-form'],
    // Valid, but coins paid to it can be taken by others or never be spent
    ['BC1SW50QGDZ25J', 'address-version'],
    ['bc1zw508d6qejxtdg4y5r3zarvaryvaxxpcs', 'address-version'],
    ['bc1pfeessrawgf', 'address-version'],
    // Base58
    ['1BgGZ9tcN4rm9KBzDn7KprQz87SZ26SAMJ', 'address-checksum'],
    ['1BgGZ9tcN4rm9KBzDn7KprQz87SZ26SAM0', 'address-form'],
    [' 1BgGZ9tcN4rm9KBzDn7KprQz87SZ26SAMH', 'address-form'],
    ['LVg2kJoFNg45Nbpy53h7Fe1wKyeXVRhMH9', 'address-program'],
    ['', 'address-form'],
    ['5HueCGU8rMjxEXxiPuD5BDku4MkFqeZyd4dZ1jvhTVqvbTLvyTJ', 'address-form'],
  ] as const;
  for (const [address, reason] of table) {
    t.strictSame(parseAddress(address, 'mainnet'), { ok: false, reason }, address);
    t.match(addressFaultText(reason), /^(is|has|mixes) /);
  }
  t.end();
});

t.test('a taproot key that does not exist', (t) => {
  const key = Uint8Array.from({ length: 32 }, () => 0xff);
  const address = bech32m.encode('bc', [1, ...bech32m.toWords(key)]);
  t.strictSame(parseAddress(address, 'mainnet'), { ok: false, reason: 'address-key' });
  t.end();
});

t.test('a network has its own letters and versions', (t) => {
  for (const network of NETWORKS) {
    const { hrp, pubKeyHash, coinType } = BITCOIN_NETWORKS[network];
    t.equal(hrp === 'bc', network === 'mainnet');
    t.equal(pubKeyHash === 0, network === 'mainnet');
    t.equal(coinType === 0, network === 'mainnet');
  }
  t.end();
});

t.test('properties', (t) => {
  const anyNetwork = fc.constantFrom(...NETWORKS);
  const hash = fc.uint8Array({ minLength: 20, maxLength: 20 });
  fc.assert(
    fc.property(anyNetwork, hash, fc.constantFrom('pkh', 'sh', 'wpkh'), (network, bytes, kind) => {
      const script = {
        pkh: `76a914${hex(bytes)}88ac`,
        sh: `a914${hex(bytes)}87`,
        wpkh: `0014${hex(bytes)}`,
      }[kind];
      const address = addressOf(script, network);
      return address !== undefined && addressScript(network, address) === script;
    }),
  );
  const text = fc.oneof(
    fc.string(),
    fc.stringMatching(/^(?:bc|tb|bcrt)1[02-9ac-hj-np-z]{6,80}$/),
    fc.stringMatching(/^[1-9A-HJ-NP-Za-km-z]{20,40}$/),
    // A valid checksum over any content
    fc
      .tuple(fc.constantFrom('bc', 'tb'), fc.nat(31), fc.uint8Array({ maxLength: 45 }))
      .map(([hrp, version, data]) => bech32.encode(hrp, [version, ...bech32.toWords(data)])),
    fc.uint8Array({ maxLength: 30 }).map((data) => createBase58check(sha256).encode(data)),
  );
  fc.assert(
    fc.property(text, anyNetwork, (address, network) => {
      const parsed = parseAddress(address, network);
      if (!parsed.ok) return true;
      const again = addressOf(parsed.value.script, network);
      return again === address || again === address.toLowerCase();
    }),
  );
  fc.assert(
    fc.property(fc.nat(41), fc.constantFrom(...LETTERS), (at, other) => {
      const address = 'bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4';
      if (address[at] === other) return true;
      const changed = `${address.slice(0, at)}${other}${address.slice(at + 1)}`;
      return !parseAddress(changed, 'mainnet').ok;
    }),
  );
  t.pass();
  t.end();
});
