/**
 * One wallet behind a wallet RPC. The RPC serves whichever wallet was opened last, and after a failed `open_wallet`
 * the wallet before stays open and answers. So the address is compared before each use.
 */
import { isRecord, type JsonRecord } from '../../kit/json-record.js';
import { amountOfJson } from '../amount.js';
import { readTransfer, type Transfer } from './transfer.js';
import { WalletError } from './wallet-error.js';
import { malformed, RpcCode, type WalletRpc } from './wallet-rpc.js';

export interface WalletOptions {
  readonly rpc: WalletRpc;
  /** The name of its file: `wallet-name`. */
  readonly name: string;
  readonly password: string;
  /** `wallet-address`, or the address that this program knows of the wallet of this name. */
  readonly address: string | undefined;
}

export interface Balance {
  /** Atomic units; coins of unconfirmed transactions are among them. */
  readonly total: bigint;
  /** Atomic units that can be spent now. */
  readonly unlocked: bigint;
  /** Blocks until the newest coin can be spent; 0 also when it is in no block yet. */
  readonly blocksToUnlock: number;
}

/** A payment without its transaction yet. */
export interface Outgoing {
  readonly destinations: readonly { readonly address: string; readonly amount: bigint }[];
  /** Only for wallets that know no integrated addresses. */
  readonly paymentId: string | undefined;
}

/** A transaction that the wallet made. */
export interface MadeTransaction {
  readonly txid: string;
  readonly amount: bigint;
  readonly fee: bigint;
  /** With it the same transaction can be sent again, by any process; undefined where the wallet gives none. */
  readonly metadata: string | undefined;
}

export interface ProofCheck {
  readonly good: boolean;
  readonly received: bigint;
  readonly confirmations: number;
  readonly inPool: boolean;
}

export type Direction = 'in' | 'out' | 'pending' | 'failed' | 'pool';
const DIRECTIONS: readonly Direction[] = ['in', 'out', 'pending', 'failed', 'pool'];

const HEX_64 = /^[0-9a-f]{64}$/;
const ADDRESS = /^[1-9A-HJ-NP-Za-km-z]{50,200}$/;
/** Names that no wallet RPC takes for a path. */
export const WALLET_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
/** Most characters of a transaction in hex: 1 MB. */
const MAX_METADATA = 2_000_000;

export const isAddress = (text: string): boolean => ADDRESS.test(text);

/** One wallet of a wallet RPC, by its name: another open wallet never answers for it. */
export class Wallet {
  readonly #options: WalletOptions;
  #address: string | undefined;
  #canRelay: boolean | undefined;

  constructor(options: WalletOptions) {
    this.#options = options;
  }

  /** The name of its file. */
  get name(): string {
    return this.#options.name;
  }

  /**
   * Makes the wallet file and opens it. Rejects with a WalletError when it exists.
   * @returns its address
   */
  async create(signal: AbortSignal): Promise<string> {
    const { rpc, name, password } = this.#options;
    this.#address = undefined;
    try {
      await rpc.call(
        'create_wallet',
        { filename: name, password, language: 'English' },
        signal,
        false,
      );
    } catch (error) {
      if (!(error instanceof WalletError) || error.rpcCode !== RpcCode.EXISTS) throw error;
      throw new WalletError(
        'refused',
        `the wallet ${name} exists: leave out "create", or choose another wallet-name`,
        error.rpcCode,
        error,
      );
    }
    return (this.#address = await this.#answering(signal));
  }

  /** Opens the wallet file and compares its address. @returns the address */
  async open(signal: AbortSignal): Promise<string> {
    const { rpc, name, password, address: meant } = this.#options;
    this.#address = undefined;
    this.#canRelay = undefined;
    try {
      await rpc.call('open_wallet', { filename: name, password }, signal);
    } catch (error) {
      if (!(error instanceof WalletError) || error.fault !== 'refused') throw error;
      throw new WalletError(
        'no-wallet',
        `the wallet ${name} cannot be opened: wallet-name or wallet-password is wrong, or it does not exist ("onionmc lethean wallet create" makes it)`,
        error.rpcCode,
        error,
      );
    }
    const address = await this.#answering(signal);
    if (meant !== undefined && address !== meant) throw this.#another();
    return (this.#address = address);
  }

  /** The address; opens the wallet where it is not open. */
  async address(signal: AbortSignal): Promise<string> {
    return this.#mine(signal);
  }

  /** All coins, and those that can be spent now, in atomic units. */
  async balance(signal: AbortSignal): Promise<Balance> {
    const answer = await this.#call('getbalance', { account_index: 0 }, signal);
    const total = amountOfJson(answer['balance']);
    const unlocked = amountOfJson(answer['unlocked_balance']);
    if (total === undefined || unlocked === undefined) {
      throw malformed('getbalance', 'no amounts');
    }
    return { total, unlocked, blocksToUnlock: whole(answer['blocks_to_unlock']) };
  }

  /** Blocks that the wallet has read. */
  async height(signal: AbortSignal): Promise<number> {
    return whole((await this.#call('getheight', {}, signal))['height']);
  }

  /** Reads new blocks. @returns how many */
  async refresh(signal: AbortSignal): Promise<number> {
    return whole((await this.#call('refresh', {}, signal))['blocks_fetched']);
  }

  /** The wallet's transfers, the newest first. @param minHeight blocks above this height only */
  async transfers(signal: AbortSignal, minHeight?: number): Promise<readonly Transfer[]> {
    const answer = await this.#call(
      'get_transfers',
      {
        ...Object.fromEntries(DIRECTIONS.map((each) => [each, true])),
        ...(minHeight === undefined ? {} : { filter_by_height: true, min_height: minHeight }),
      },
      signal,
    );
    return DIRECTIONS.flatMap((direction) => listOf(answer[direction]))
      .map((each) => readTransfer(each))
      .filter((each) => each !== undefined)
      .toSorted((a, b) => b.timestamp - a.timestamp);
  }

  /** One transaction; undefined where the wallet does not know it. */
  async transfer(txid: string, signal: AbortSignal): Promise<Transfer | undefined> {
    try {
      const answer = await this.#call('get_transfer_by_txid', { txid }, signal);
      return isRecord(answer['transfer']) ? readTransfer(answer['transfer']) : undefined;
    } catch (error) {
      if (error instanceof WalletError && error.rpcCode === RpcCode.WRONG_TXID) return undefined;
      throw error;
    }
  }

  /** An address that carries a payment id of 16 hex digits; undefined where the wallet cannot make one. */
  async integratedAddress(
    address: string,
    paymentId: string,
    signal: AbortSignal,
  ): Promise<string | undefined> {
    try {
      const answer = await this.#call(
        'make_integrated_address',
        { standard_address: address, payment_id: paymentId },
        signal,
      );
      const made = answer['integrated_address'];
      if (typeof made === 'string' && isAddress(made) && answer['payment_id'] === paymentId) {
        return made;
      }
    } catch (error) {
      if (!(error instanceof WalletError) || error.rpcCode !== RpcCode.NO_METHOD) throw error;
      return undefined;
    }
    throw malformed('make_integrated_address', 'another payment id');
  }

  /** Whether this wallet can make a transaction first and send it later. */
  async canRelay(signal: AbortSignal): Promise<boolean> {
    if (this.#canRelay !== undefined) return this.#canRelay;
    try {
      await this.#call('relay_tx', { hex: '' }, signal);
      this.#canRelay = true;
    } catch (error) {
      if (!(error instanceof WalletError) || error.fault !== 'refused') throw error;
      this.#canRelay = error.rpcCode !== RpcCode.NO_METHOD;
    }
    return this.#canRelay;
  }

  /** Makes transactions without sending them. */
  prepare(outgoing: Outgoing, signal: AbortSignal): Promise<readonly MadeTransaction[]> {
    return this.#transferSplit(outgoing, { do_not_relay: true, get_tx_metadata: true }, signal);
  }

  /** Makes and sends transactions in one call. An error after it was sent leaves open whether they were. */
  send(outgoing: Outgoing, signal: AbortSignal): Promise<readonly MadeTransaction[]> {
    return this.#transferSplit(outgoing, {}, signal);
  }

  /** Sends a prepared transaction; sending it again is harmless. @returns its id */
  async relay(metadata: string, signal: AbortSignal): Promise<string> {
    const txid = (await this.#call('relay_tx', { hex: metadata }, signal))['tx_hash'];
    if (typeof txid !== 'string' || !HEX_64.test(txid)) throw malformed('relay_tx', 'no tx_hash');
    return txid;
  }

  /**
   * Writes the wallet file: until then a crash of the wallet RPC forgets what was sent
   * (findings/monero-wallet-forgets.sh).
   */
  async store(signal: AbortSignal): Promise<void> {
    await this.#call('store', {}, signal);
  }

  /** A proof that a transaction pays an address. @param message signed with it */
  async proof(
    { txid, address, message }: { txid: string; address: string; message: string },
    signal: AbortSignal,
  ): Promise<string> {
    const { signature } = await this.#call('get_tx_proof', { txid, address, message }, signal);
    if (typeof signature !== 'string' || signature === '' || signature.length > 20_000) {
      throw malformed('get_tx_proof', 'no signature');
    }
    return signature;
  }

  /** Whether a proof shows that a transaction pays an address. */
  async checkProof(
    proof: { txid: string; address: string; message: string; signature: string },
    signal: AbortSignal,
  ): Promise<ProofCheck> {
    const answer = await this.#call('check_tx_proof', proof, signal);
    return {
      good: answer['good'] === true,
      received: amountOfJson(answer['received']) ?? 0n,
      confirmations: whole(answer['confirmations']),
      inPool: answer['in_pool'] === true,
    };
  }

  async #transferSplit(
    { destinations, paymentId }: Outgoing,
    how: Readonly<Record<string, boolean>>,
    signal: AbortSignal,
  ): Promise<readonly MadeTransaction[]> {
    const answer = await this.#call(
      'transfer_split',
      {
        destinations: destinations.map(({ address, amount }) => ({ amount, address })),
        ...(paymentId === undefined ? {} : { payment_id: paymentId }),
        ...how,
      },
      signal,
      how['do_not_relay'] === true,
    );
    const ids = Array.isArray(answer['tx_hash_list']) ? answer['tx_hash_list'] : [];
    const at = (key: string, i: number): unknown => {
      const list = answer[key];
      return Array.isArray(list) ? list[i] : undefined;
    };
    const made = ids.map((txid: unknown, i): MadeTransaction | undefined => {
      const amount = amountOfJson(at('amount_list', i));
      const fee = amountOfJson(at('fee_list', i));
      if (typeof txid !== 'string' || !HEX_64.test(txid)) return undefined;
      if (amount === undefined || fee === undefined) return undefined;
      const hex = at('tx_metadata_list', i);
      const isHex = typeof hex === 'string' && hex !== '' && hex.length <= MAX_METADATA;
      return { txid, amount, fee, metadata: isHex ? hex : undefined };
    });
    const known = made.filter((each) => each !== undefined);
    if (known.length === 0 || known.length < made.length) {
      throw malformed('transfer_split', 'no list of transactions');
    }
    return known;
  }

  /** A call to the wallet that is meant. A restarted wallet RPC has none open; ours is opened again. */
  async #call(
    method: string,
    params: Parameters<WalletRpc['call']>[1],
    signal: AbortSignal,
    repeatable = true,
  ): Promise<JsonRecord> {
    await this.#mine(signal);
    return this.#options.rpc.call(method, params, signal, repeatable);
  }

  async #mine(signal: AbortSignal): Promise<string> {
    const known = this.#address;
    if (known === undefined) return this.#openUnlessOpen(signal);
    try {
      if ((await this.#answering(signal)) === known) return known;
    } catch (error) {
      if (!(error instanceof WalletError) || error.rpcCode !== RpcCode.NO_WALLET) throw error;
      const address = await this.open(signal);
      if (address === known) return address;
    }
    this.#address = undefined;
    throw this.#another();
  }

  /** To open a wallet takes seconds; the one that is meant may be open already. */
  async #openUnlessOpen(signal: AbortSignal): Promise<string> {
    const { address: meant } = this.#options;
    if (meant !== undefined) {
      try {
        if ((await this.#answering(signal)) === meant) return (this.#address = meant);
      } catch (error) {
        if (!(error instanceof WalletError) || error.fault !== 'refused') throw error;
      }
    }
    return this.open(signal);
  }

  async #answering(signal: AbortSignal): Promise<string> {
    const { address } = await this.#options.rpc.call('getaddress', { account_index: 0 }, signal);
    if (typeof address !== 'string' || !isAddress(address)) {
      throw malformed('getaddress', 'no address');
    }
    return address;
  }

  #another(): WalletError {
    return new WalletError(
      'wrong-wallet',
      `the wallet RPC answers for another wallet than ${this.#options.name}: give this program a wallet RPC of its own, or correct wallet-name and wallet-address`,
    );
  }
}

function whole(value: unknown): number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : 0;
}

function listOf(value: unknown): readonly JsonRecord[] {
  return Array.isArray(value) ? value.filter((each) => isRecord(each)) : [];
}
