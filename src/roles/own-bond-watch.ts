/**
 * Follows the coin of a maker's own bond on the chain: whether it is there, locked as the bond says, and how
 * high the chain is.
 */
import type { Log } from '../channel/log.js';
import type { Clock } from '../channel/ports.js';
import type { BlockId, Chain } from '../chain/ports.js';
import { bondView } from '../chain/bond-view.js';
import { errorText } from '../kit/error-text.js';
import { pause } from '../kit/pause.js';
import { bondScriptPubKey } from '../protocol/bond-script.js';
import { bondValue, type BondPolicy, type OwnBond } from '../protocol/fidelity-bond.js';
import { formatOutpoint } from '../protocol/outpoint.js';

/** Between two attempts when the chain does not answer, in milliseconds. */
const RETRY_MS = 60_000;

/** What is known about the coin. */
export type OwnBondState =
  | {
      readonly state: 'funded';
      /** Satoshi. */
      readonly amount: number;
      /** As takers value it now. */
      readonly value: number;
    }
  /** There is no such unspent, confirmed coin. */
  | { readonly state: 'unfunded' }
  /** The coin is locked with another key or until another time. */
  | { readonly state: 'other-script' };

/** Asks the chain about the coin of a bond. Rejects with a `ChainError`. */
export async function askOwnBond(
  chain: Chain,
  bond: Pick<OwnBond, 'utxo' | 'lockTime' | 'utxoPublicKeyHex'>,
  policy: BondPolicy = {},
): Promise<OwnBondState & { readonly height: number }> {
  const view = bondView(chain);
  const { txid, vout } = bond.utxo;
  const [{ height, medianTime }, output] = await Promise.all([view.tip(), view.output(txid, vout)]);
  if (!output.found) return { state: 'unfunded', height };
  if (output.scriptHex !== bondScriptPubKey(bond.lockTime, bond.utxoPublicKeyHex)) {
    return { state: 'other-script', height };
  }
  const value = bondValue({
    ...policy,
    satoshi: output.amount,
    confirmationTime: output.confirmedAt,
    lockTime: bond.lockTime,
    now: medianTime,
  });
  return { state: 'funded', amount: output.amount, value, height };
}

const SENTENCES = {
  unfunded: 'is not an unspent, confirmed coin on the chain of the node',
  'other-script': 'is locked with another key, or until another time, than the bond says',
} as const;

/** What is wrong with a coin that is no bond, for a person. */
export const ownBondFaultText = (
  { utxo }: Pick<OwnBond, 'utxo'>,
  state: 'unfunded' | 'other-script',
): string => `its coin ${formatOutpoint(utxo)} ${SENTENCES[state]}`;

export interface OwnBondWatchOptions {
  readonly chain: Chain;
  readonly bond: OwnBond;
  readonly policy: BondPolicy;
  readonly clock: Clock;
  readonly log: Log;
}

/** Asks again at each new block, until `stop`. */
export class OwnBondWatch {
  readonly #options: OwnBondWatchOptions;
  readonly #stopping = new AbortController();
  readonly #ended: Promise<void>;
  #height: number;
  #funded = true;

  private constructor(options: OwnBondWatchOptions, height: number) {
    this.#options = options;
    this.#height = height;
    this.#ended = this.#follow();
  }

  /**
   * Asks once. Resolves to the watch of a bond that is funded, or to the state of one that is not. Rejects
   * with a `ChainError`.
   */
  static async start(
    options: OwnBondWatchOptions,
  ): Promise<OwnBondWatch | Exclude<OwnBondState, { readonly state: 'funded' }>> {
    const { chain, bond, policy, log } = options;
    const found = await askOwnBond(chain, bond, policy);
    if (found.state !== 'funded') return found;
    log.info('the coin of the bond is locked and confirmed', {
      satoshi: found.amount,
      value: found.value,
    });
    return new OwnBondWatch(options, found.height);
  }

  /** Height of the best block that was seen. */
  get height(): number {
    return this.#height;
  }

  /** Whether the coin was there at the last block that was seen. */
  get funded(): boolean {
    return this.#funded;
  }

  /** The caller closes the chain. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#ended;
  }

  async #follow(): Promise<void> {
    const { chain, clock, log } = this.#options;
    const { signal } = this.#stopping;
    let known: BlockId = { height: -1, hash: '' };
    let told = false;
    while (!signal.aborted) {
      try {
        // oxlint-disable-next-line no-await-in-loop -- one block after the other
        known = await chain.nextTip(known, signal);
        // oxlint-disable-next-line no-await-in-loop
        await this.#ask();
        told = false;
      } catch (error) {
        if (signal.aborted) return;
        if (!told) log.warn(`the coin of the bond cannot be checked: ${errorText(error)}`);
        told = true;
        // oxlint-disable-next-line no-await-in-loop
        await pause(clock, RETRY_MS, signal);
      }
    }
  }

  async #ask(): Promise<void> {
    const { chain, bond, policy, log } = this.#options;
    const found = await askOwnBond(chain, bond, policy);
    this.#height = found.height;
    const funded = found.state === 'funded';
    if (funded === this.#funded) return;
    this.#funded = funded;
    if (found.state === 'funded') log.info('the coin of the bond is there again');
    else log.warn(`offers are sent without the bond: ${ownBondFaultText(bond, found.state)}`);
  }
}
