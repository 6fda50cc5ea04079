/** The JSON-RPC of a wallet of the Monero family: calls with bounds, and its errors with what to do. */
import { isRecord, type JsonRecord } from '../../kit/json-record.js';
import { quotedLine } from '../../kit/shown-text.js';
import { parseExactJson, plainJson, writeJson, type JsonValue } from '../exact-json.js';
import { RpcConnection, type RpcConnectionOptions } from './rpc-connection.js';
import { WalletError } from './wallet-error.js';

/** Numbers of JSON-RPC errors, as the wallet RPC defines them. */
export const RpcCode = {
  UNKNOWN: -1,
  WRONG_ADDRESS: -2,
  WRONG_PAYMENT_ID: -5,
  WRONG_TXID: -8,
  NO_WALLET: -13,
  NOT_ENOUGH_MONEY: -17,
  NOT_ENOUGH_OUTPUTS: -19,
  EXISTS: -21,
  NOT_ENOUGH_UNLOCKED: -37,
  NO_DAEMON: -38,
  NO_METHOD: -32601,
} as const;

const ADVICE: ReadonlyMap<number, string> = new Map([
  [RpcCode.WRONG_ADDRESS, 'the address is not one of this coin'],
  [RpcCode.NOT_ENOUGH_MONEY, 'receive coins first: "onionmc lethean wallet" shows the address'],
  [RpcCode.NOT_ENOUGH_OUTPUTS, 'wait for more blocks: too few outputs to hide among'],
  [RpcCode.NOT_ENOUGH_UNLOCKED, 'wait until the last coins are unlocked, ten blocks as a rule'],
  [
    RpcCode.NO_DAEMON,
    'the node of the wallet does not answer: start it, or correct --daemon-address of the wallet RPC',
  ],
  [RpcCode.NO_METHOD, 'this wallet RPC is too old, or runs with --restricted-rpc'],
]);

/** Milliseconds. A scan after a long time off, and the building of a transaction, take minutes. */
const CALL_MS = 30_000;
const LONG_CALL_MS = 600_000;
const LONG: ReadonlySet<string> = new Set([
  'create_wallet',
  'open_wallet',
  'refresh',
  'transfer_split',
]);

/** The JSON-RPC of a wallet, with digest authentication on one connection. */
export class WalletRpc {
  readonly #connection: RpcConnection;
  readonly #callMs: number;

  /** @param callMs longest wait for an answer to a short call */
  constructor(options: RpcConnectionOptions, callMs: number = CALL_MS) {
    this.#connection = new RpcConnection(options);
    this.#callMs = callMs;
  }

  /** Ends the connection. */
  close(): void {
    this.#connection.close();
  }

  /**
   * The result of a call. Rejects with a WalletError, or the reason of the signal.
   * @param repeatable whether a second sending does no harm
   */
  async call(
    method: string,
    params: JsonValue,
    signal: AbortSignal,
    repeatable = true,
  ): Promise<JsonRecord> {
    const text = await this.#connection.post({
      body: writeJson({ jsonrpc: '2.0', id: '0', method, params }),
      timeoutMs: LONG.has(method) ? LONG_CALL_MS : this.#callMs,
      repeatable,
      signal,
    });
    let answer: unknown;
    try {
      answer = plainJson(parseExactJson(text));
    } catch (error) {
      throw malformed(method, 'text that is not JSON', error);
    }
    if (!isRecord(answer)) throw malformed(method, 'a value that is not an object');
    const { error, result } = answer;
    if (isRecord(error)) throw refusedCall(method, error);
    if (!isRecord(result)) throw malformed(method, 'no result');
    return result;
  }
}

function refusedCall(method: string, { code, message }: JsonRecord): WalletError {
  const number = typeof code === 'number' ? code : undefined;
  const words = quotedLine(typeof message === 'string' ? message : '', 200);
  const advice = number === undefined ? undefined : ADVICE.get(number);
  return new WalletError(
    'refused',
    `the wallet refused ${method}: ${words} (${number ?? 'no number'})${advice === undefined ? '' : `; ${advice}`}`,
    number,
  );
}

/** The error for an answer of another form. */
export function malformed(method: string, what: string, cause?: unknown): WalletError {
  return new WalletError(
    'malformed',
    `the answer to ${method} has ${what}: wallet-rpc-url is not that of a wallet RPC, or its version is not known here`,
    undefined,
    cause,
  );
}
