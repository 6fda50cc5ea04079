/** What differs between the bitcoin networks: addresses, keys, the first block, ports and folders of a node. */
import type { Network } from '../protocol/constants.js';

/** The constants of one network. */
export interface BitcoinNetwork {
  /** Prefix of segwit addresses (BIP173). */
  readonly hrp: 'bc' | 'tb' | 'bcrt';
  /** First byte of a p2pkh address in base58. */
  readonly pubKeyHash: number;
  /** First byte of a p2sh address in base58. */
  readonly scriptHash: number;
  /** First byte of a private key in base58 (WIF). */
  readonly wif: number;
  /** The hardened coin number of a path (BIP44, SLIP44). */
  readonly coinType: 0 | 1;
  /** First bytes of extended keys in base58 (BIP32): xpub and xprv, or tpub and tprv. */
  readonly bip32: { readonly public: number; readonly private: number };
  /** Hash of the block at height 0, display order. */
  readonly genesisHash: string;
  /** The easiest target that a block may have, in the compact form of the header. */
  readonly easiestBits: number;
  /** Where a node answers JSON-RPC unless its configuration says otherwise. */
  readonly rpcPort: number;
  /** The name of the network in the answers of a node (`getblockchaininfo`, field `chain`). */
  readonly nodeChain: 'main' | 'test' | 'signet' | 'regtest';
  /** The folder of the network in the data folder of a node; empty for the data folder itself. */
  readonly nodeFolder: '' | 'testnet3' | 'signet' | 'regtest';
}

const TEST_KEYS = {
  pubKeyHash: 0x6f,
  scriptHash: 0xc4,
  wif: 0xef,
  coinType: 1,
  bip32: { public: 0x0435_87cf, private: 0x0435_8394 },
} as const;

export const BITCOIN_NETWORKS: Readonly<Record<Network, BitcoinNetwork>> = {
  mainnet: {
    hrp: 'bc',
    pubKeyHash: 0x00,
    scriptHash: 0x05,
    wif: 0x80,
    coinType: 0,
    bip32: { public: 0x0488_b21e, private: 0x0488_ade4 },
    genesisHash: '000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f',
    easiestBits: 0x1d00_ffff,
    rpcPort: 8332,
    nodeChain: 'main',
    nodeFolder: '',
  },
  testnet: {
    ...TEST_KEYS,
    hrp: 'tb',
    genesisHash: '000000000933ea01ad0ee984209779baaec3ced90fa3f408719526f8d77f4943',
    easiestBits: 0x1d00_ffff,
    rpcPort: 18_332,
    nodeChain: 'test',
    nodeFolder: 'testnet3',
  },
  // A signet of one's own has the same first block: only its challenge and its messages differ.
  signet: {
    ...TEST_KEYS,
    hrp: 'tb',
    genesisHash: '00000008819873e925422c1ff0f99f7cc9bbb232af63a077a480a3633bee1ef6',
    easiestBits: 0x1e03_77ae,
    rpcPort: 38_332,
    nodeChain: 'signet',
    nodeFolder: 'signet',
  },
  regtest: {
    ...TEST_KEYS,
    hrp: 'bcrt',
    genesisHash: '0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206',
    easiestBits: 0x207f_ffff,
    rpcPort: 18_443,
    nodeChain: 'regtest',
    nodeFolder: 'regtest',
  },
};
