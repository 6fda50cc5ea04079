/** Addresses of every network: base58 (p2pkh, p2sh), bech32 (BIP173) and bech32m (BIP350). */
import { schnorr } from '@noble/curves/secp256k1.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex, concatBytes, hexToBytes } from '@noble/hashes/utils.js';
import { bech32, bech32m, createBase58check } from '@scure/base';
import { NETWORKS, type Network } from '../protocol/constants.js';
import { fail, ok, type Parsed } from '../protocol/result.js';
import { BITCOIN_NETWORKS } from './network.js';
import { scriptKind } from './script.js';

const base58check = createBase58check(sha256);
/** The longest segwit address (BIP173). Those of base58 are shorter. */
const MAX_CHARS = 90;
const MIN_CHARS = 14;

/** Kinds of scripts that a payment may go to. */
export type AddressKind = 'p2pkh' | 'p2sh' | 'p2wpkh' | 'p2wsh' | 'p2tr';

/** An address that was read. */
export interface Address {
  readonly kind: AddressKind;
  /** The scriptPubKey, lower-case hex. */
  readonly script: string;
}

/** Why a text is not an address of the network. */
export type AddressFault =
  /** Not the form of an address of any network. */
  | 'address-form'
  /** Letters of both cases in a segwit address. */
  | 'address-case'
  /** The checksum does not fit: a letter is wrong or missing. */
  | 'address-checksum'
  /** The checksum fits, but the content is neither a witness program nor a hash. */
  | 'address-program'
  /** A witness version that has no meaning today: coins paid to it belong to the first who takes them. */
  | 'address-version'
  /** A taproot address with a key that does not exist: coins paid to it could never be spent. */
  | 'address-key'
  /** An address of mainnet. */
  | 'address-of-mainnet'
  /** An address of testnet or signet, which look the same; in base58 also regtest. */
  | 'address-of-testnet'
  /** A segwit address of regtest. */
  | 'address-of-regtest';

const FOREIGN = {
  mainnet: 'address-of-mainnet',
  testnet: 'address-of-testnet',
  signet: 'address-of-testnet',
  regtest: 'address-of-regtest',
} as const;

const SENTENCES: Readonly<Record<AddressFault, string>> = {
  'address-form': 'is not a bitcoin address',
  'address-case': 'mixes upper and lower case: write it in lower case',
  'address-checksum': 'has a wrong checksum: a character is wrong, missing or added',
  'address-program': 'has a valid checksum, but is not a bitcoin address',
  'address-version':
    'has a witness version that is not in use yet: coins sent there could be taken',
  'address-key': 'is a taproot address without a valid key: coins sent there would be lost',
  'address-of-mainnet': 'is an address of mainnet',
  'address-of-testnet': 'is an address of testnet or signet',
  'address-of-regtest': 'is an address of regtest',
};

/** The fault as the end of a sentence that begins with the address. */
export const addressFaultText = (fault: AddressFault): string => SENTENCES[fault];

/** Reads an address. Blanks around it are not part of one, and are refused. */
export function parseAddress(text: string, network: Network): Parsed<Address, AddressFault> {
  if (text.length < MIN_CHARS || text.length > MAX_CHARS || !/^[0-9A-Za-z]+$/.test(text)) {
    return fail('address-form');
  }
  const hrp = text.slice(0, Math.max(0, text.lastIndexOf('1'))).toLowerCase();
  const owner = NETWORKS.find((name) => BITCOIN_NETWORKS[name].hrp === hrp);
  return owner === undefined ? parseBase58(text, network) : parseSegwit(text, owner, network);
}

function parseSegwit(
  text: string,
  owner: Network,
  network: Network,
): Parsed<Address, AddressFault> {
  if (text !== text.toLowerCase() && text !== text.toUpperCase()) return fail('address-case');
  const lower = text.toLowerCase();
  const old = bech32.decodeUnsafe(lower, MAX_CHARS);
  const decoded = old ?? bech32m.decodeUnsafe(lower, MAX_CHARS);
  if (decoded === undefined) return fail('address-checksum');
  const [version, ...words] = decoded.words;
  const program = bech32.fromWordsUnsafe(words);
  if (version === undefined || version > 16) return fail('address-program');
  // Version 0 has the checksum of BIP173, the others that of BIP350.
  if ((version === 0) !== (old !== undefined)) return fail('address-checksum');
  if (!(program instanceof Uint8Array) || program.length < 2 || program.length > 40) {
    return fail('address-program');
  }
  if (version === 0 && program.length !== 20 && program.length !== 32)
    return fail('address-program');
  if (BITCOIN_NETWORKS[owner].hrp !== BITCOIN_NETWORKS[network].hrp) return fail(FOREIGN[owner]);
  if (version === 0) {
    const kind = program.length === 20 ? 'p2wpkh' : 'p2wsh';
    return ok({ kind, script: `00${kind === 'p2wpkh' ? '14' : '20'}${bytesToHex(program)}` });
  }
  if (version !== 1 || program.length !== 32) return fail('address-version');
  if (!isOutputKey(program)) return fail('address-key');
  return ok({ kind: 'p2tr', script: `5120${bytesToHex(program)}` });
}

/** Whether 32 bytes are the first coordinate of a point (BIP340, `lift_x`). */
function isOutputKey(bytes: Uint8Array): boolean {
  try {
    schnorr.utils.lift_x(BigInt(`0x${bytesToHex(bytes)}`));
    return true;
  } catch {
    return false;
  }
}

function parseBase58(text: string, network: Network): Parsed<Address, AddressFault> {
  if (!/^[1-9A-HJ-NP-Za-km-z]{25,35}$/.test(text)) return fail('address-form');
  const decoded = decodeBase58(text);
  if (decoded === undefined) return fail('address-checksum');
  const version = decoded[0];
  if (version === undefined || decoded.length !== 21) return fail('address-program');
  const owner = NETWORKS.find((name) => {
    const { pubKeyHash, scriptHash } = BITCOIN_NETWORKS[name];
    return version === pubKeyHash || version === scriptHash;
  });
  if (owner === undefined) return fail('address-program');
  const { pubKeyHash, scriptHash } = BITCOIN_NETWORKS[network];
  const hash = bytesToHex(decoded.subarray(1));
  if (version === pubKeyHash) return ok({ kind: 'p2pkh', script: `76a914${hash}88ac` });
  if (version === scriptHash) return ok({ kind: 'p2sh', script: `a914${hash}87` });
  return fail(FOREIGN[owner]);
}

function decodeBase58(text: string): Uint8Array | undefined {
  try {
    return base58check.decode(text);
  } catch {
    return undefined;
  }
}

const segwitAddress = (hrp: string, version: 0 | 1, program: Uint8Array): string => {
  const code = version === 0 ? bech32 : bech32m;
  return code.encode(hrp, [version, ...code.toWords(program)]);
};

const legacyAddress = (version: number, hash: string): string =>
  base58check.encode(concatBytes(Uint8Array.of(version), hexToBytes(hash)));

/** The address of a scriptPubKey (hex); undefined for scripts that have none. */
export function addressOf(script: string, network: Network): string | undefined {
  const { hrp, pubKeyHash, scriptHash } = BITCOIN_NETWORKS[network];
  switch (scriptKind(script)) {
    case 'p2pkh':
      return legacyAddress(pubKeyHash, script.slice(6, 46));
    case 'p2sh':
      return legacyAddress(scriptHash, script.slice(4, 44));
    case 'p2wpkh':
    case 'p2wsh':
      return segwitAddress(hrp, 0, hexToBytes(script.slice(4)));
    case 'p2tr':
      return segwitAddress(hrp, 1, hexToBytes(script.slice(4)));
    case 'witness':
    case 'op-return':
    case 'other':
      return undefined;
  }
}

/** The scriptPubKey (hex) of an address of this network; undefined when it is not one. */
export function addressScript(network: Network, address: string): string | undefined {
  const parsed = parseAddress(address, network);
  return parsed.ok ? parsed.value.script : undefined;
}
