/** The wish of a program for a coinjoin, completed by the settings. Pure; chance is an argument. */
import { addressScript } from '../bitcoin/address.js';
import type { Random } from '../channel/ports.js';
import type { Settings } from '../config/settings.js';
import type { Broadcast } from '../negotiation/taker/api.js';
import type { Network } from '../protocol/constants.js';
import type { ChoiceRule, CoinjoinRequest, FeeChoice } from '../taker/api.js';

/** What a program wants; everything but the amount has a default. */
export interface CoinjoinWish {
  /** Satoshi of each side's equal output, or `sweep` for everything in the mixdepth. */
  readonly amount: number | 'sweep';
  /** An address of the wallet's network. Default: a fresh address of the next mixdepth. */
  readonly destination?: string | undefined;
  /** Mixdepth whose coins are spent. Default 0. */
  readonly mixdepth?: number;
  /** Number of makers. Default: 8 to 10, or as many as are named in `picks`. */
  readonly makers?: number;
  /** Fewest makers. Default `[POLICY] minimum_makers`. */
  readonly minimumMakers?: number;
  /** Most that one maker gets, satoshi. */
  readonly maxFeeAbs?: number;
  /**
   * Most that one maker gets, as a share of the amount. With neither limit those of `[POLICY]`, else 500 sat
   * and 0.001.
   */
  readonly maxFeeRel?: number;
  /** The miner fee. Default `[POLICY] tx_fees`. */
  readonly fee?: FeeChoice;
  /** How makers are drawn. Default `bond-weighted`. */
  readonly choice?: ChoiceRule;
  /** Nicks of these makers and no others. */
  readonly picks?: readonly string[];
  /** The side that sends the transaction. Default `[POLICY] tx_broadcast`. */
  readonly broadcast?: Broadcast;
  /** Label of the transaction in the wallet. */
  readonly label?: string;
}

/** `tx_fees` up to this value counts blocks. */
const MOST_BLOCKS = 1_000;
const DEFAULT_LIMITS = { maxFeeAbs: 500, maxFeeRel: 0.001 } as const;

/** The whole request. Throws a RangeError for an address that is not one of the network. */
export function coinjoinRequest(
  wish: CoinjoinWish,
  { policy }: Pick<Settings, 'policy'>,
  network: Network,
  random: Random,
): CoinjoinRequest {
  const { amount, destination, mixdepth = 0, picks = [], choice = 'bond-weighted', label } = wish;
  const script = destination === undefined ? undefined : addressScript(network, destination);
  if (destination !== undefined && script === undefined) {
    throw new RangeError(`not an address of ${network}: ${destination}`);
  }
  const { minimumMakers = policy.minimumMakers } = wish;
  const usual = picks.length > 0 ? picks.length : 8 + Math.floor(3 * random());
  const own = { maxFeeAbs: wish.maxFeeAbs, maxFeeRel: wish.maxFeeRel };
  const file = {
    maxFeeAbs: policy.maxCjFeeAbs ?? undefined,
    maxFeeRel: policy.maxCjFeeRel ?? undefined,
  };
  const limits = [own, file].find((each) =>
    Object.values(each).some((limit) => limit !== undefined),
  );
  return {
    amount,
    destination:
      destination === undefined || script === undefined
        ? { kind: 'internal' }
        : { kind: 'address', address: destination, script },
    mixdepth,
    makers: wish.makers ?? Math.max(usual, minimumMakers),
    minimumMakers,
    ...(limits ?? DEFAULT_LIMITS),
    fee:
      wish.fee ??
      (policy.txFees > MOST_BLOCKS
        ? { kind: 'rate', feePerKb: policy.txFees }
        : { kind: 'blocks', blocks: policy.txFees }),
    choice,
    picks,
    broadcast: wish.broadcast ?? policy.txBroadcast,
    label,
  };
}
