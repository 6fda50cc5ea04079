/**
 * The wallet of a taker for one coinjoin: proofs, coins, signatures. It spends exactly the coins of the plan,
 * and never more than the plan's worst case. Coins are leased, and addresses handed out, in one write of the
 * journal; the transaction is in the journal before our signatures leave, and whole before it is sent.
 */
import type { CoinKind } from '../bitcoin/script.js';
import { parseTransaction } from '../bitcoin/transaction.js';
import type { Chain } from '../chain/ports.js';
import type { Log } from '../channel/log.js';
import { errorText } from '../kit/error-text.js';
import type {
  CompleteTransaction,
  Funding,
  FundingRefusal,
  FundingRequest,
  Settlement,
  SigningRequest,
  TakerWallet,
} from '../negotiation/ports.js';
import { shownText } from '../negotiation/payloads.js';
import type { InputSignature } from '../negotiation/transaction.js';
import type { RandomBytes } from '../protocol/encryption.js';
import { formatOutpoint, type Outpoint } from '../protocol/outpoint.js';
import type { Podle } from '../protocol/podle.js';
import { WalletError, type HandedOut, type WalletCoin } from '../wallet/api.js';
import { paymentLockTime } from '../wallet/payment/lock-time.js';
import type { AddressRequest } from '../wallet/requests.js';
import { checkUnspent } from '../wallet/wallet-parts.js';
import type { Wallet } from '../wallet/wallet.js';
import { coinjoinVsize, isEnough, minerShare, scriptLike, sumOf, worstCost } from './amounts.js';
import type { MinerShare, Worst } from './amounts.js';
import type { CoinjoinRequest } from './api.js';
import type { TakerCommitments } from './commitments.js';

/** What was agreed on with the user. */
export interface AgreedCoinjoin {
  readonly request: CoinjoinRequest;
  /** The coins that are spent: of one mixdepth; of a sweep all of it. */
  readonly coins: readonly (Outpoint & { readonly value: number })[];
  readonly worst: Worst;
  /** `maxSweepFeeChange` of the policy. */
  readonly tolerance: number;
}

export interface WalletTakerOptions extends AgreedCoinjoin {
  readonly wallet: Wallet;
  readonly chain: Chain;
  readonly commitments: TakerCommitments;
  readonly randomBytes: RandomBytes;
  readonly log: Log;
  /** Called with the complete transaction, after it was stored. */
  readonly onComplete?: ((transaction: CompleteTransaction) => void) | undefined;
}

/** What a transaction costs. */
export interface PaidFees {
  /** Fees of the makers minus their contributions to the miner fee. */
  readonly makerFees: number;
  /** The whole miner fee. */
  readonly minerFee: number;
}

/** A funding of this wallet, as long as it is not settled. */
interface OpenFunding extends PaidFees {
  readonly funding: Funding;
  /** Satoshi of each side's equal output. */
  readonly amount: number;
  readonly lease: { readonly id: string; readonly owner: string };
  readonly destination: string;
  /** What the balance of the wallet falls by. */
  readonly mostSpent: number;
  /** Id without signatures, after `sign`. */
  unsignedTxid: string | undefined;
}

/** The holder of the leases of a taker. */
export const TAKER_OWNER = 'taker';
/** A round of 20 minutes, and the wait for a broadcast. */
const LEASE_SECONDS = 3_600;

/** The kind of a wallet's addresses. */
export const kindOf = (wallet: Wallet): CoinKind =>
  wallet.secret.kind === 'native' ? 'p2wpkh' : 'p2sh-p2wpkh';

export class WalletTaker implements TakerWallet {
  readonly #options: WalletTakerOptions;
  readonly #wallet: Wallet;
  #open: OpenFunding | undefined;
  #paid: PaidFees | undefined;
  #signed: string | undefined;
  /** The end of the last change: changes run one after the other, in the order of the calls. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(options: WalletTakerOptions) {
    this.#options = options;
    this.#wallet = options.wallet;
  }

  /** Fees of the transaction that was signed last. */
  get paid(): PaidFees | undefined {
    return this.#paid;
  }

  /** Id without signatures of the transaction that was signed last and may be sent; it names it in the wallet. */
  get unsignedTxid(): string | undefined {
    return this.#signed;
  }

  /** Resolves after everything that was settled is in the journal. */
  async settled(): Promise<void> {
    let last: Promise<unknown> | undefined;
    while (last !== this.#last) {
      last = this.#last;
      // oxlint-disable-next-line no-await-in-loop -- the end of a change may begin another one
      await last;
    }
  }

  commit(amount: number, signal: AbortSignal): Promise<Podle | undefined> {
    const { coins, request, commitments } = this.#options;
    return commitments.reserve({ amount, coins, mixdepth: request.mixdepth }, signal);
  }

  useCommitment(podle: Podle): Promise<void> {
    return this.#options.commitments.use(podle);
  }

  freeCommitment(podle: Podle): void {
    this.#later('a proof was not freed', () => this.#options.commitments.free(podle));
  }

  /** @throws WalletError `fee` or `funds` when the round would cost more than the plan allows. */
  fund(request: FundingRequest, signal: AbortSignal): Promise<Funding | FundingRefusal> {
    return this.#inOrder(async () => {
      if (this.#open !== undefined) throw new Error('the round before is not settled');
      signal.throwIfAborted();
      const { chain, coins, randomBytes } = this.#options;
      const [tip, minimumFeePerKb = 0] = await Promise.all([
        chain.tip(signal),
        chain.minimumFeePerKb(signal),
        // Before makers see the transaction, which could not be signed.
        checkUnspent(chain, { coins }, signal),
      ]);
      const own = coins.map((coin) => this.#wallet.coin(coin));
      const share = this.#share(request, own, minimumFeePerKb);
      if ('refused' in share) return share;
      const lockTime = paymentLockTime(own, tip, randomBytes);
      // The round may have ended meanwhile; from here on it gets an answer, and settles it.
      signal.throwIfAborted();
      return this.#lease(request, own, share, lockTime);
    });
  }

  sign(request: SigningRequest, signal: AbortSignal): Promise<readonly InputSignature[]> {
    return this.#inOrder(async () => {
      const open = this.#open;
      if (open === undefined) throw new Error('there is no round to sign for');
      // After the abort the coins are given back: nothing may be signed any more.
      signal.throwIfAborted();
      const { request: wanted } = this.#options;
      const { amount, makerFees, funding, destination, mostSpent, lease } = open;
      checkForm(request.transaction, funding);
      const { unsignedTxid, signatures } = await this.#wallet.sign({
        transaction: request.transaction,
        kind: 'coinjoin-taker',
        coins: request.inputs.map(({ coin: { txid, vout } }) => ({ txid, vout })),
        mostSpent,
        lease: lease.id,
        coinjoin: { amount, earned: -makerFees, script: destination },
        label: wanted.label,
      });
      open.unsignedTxid = unsignedTxid;
      return signatures;
    });
  }

  keepTransaction(transaction: CompleteTransaction, signal: AbortSignal): Promise<void> {
    return this.#inOrder(async () => {
      const open = this.#open;
      if (open?.unsignedTxid === undefined) throw new Error('there is no signed round to keep');
      signal.throwIfAborted();
      const peersOnly = this.#options.request.broadcast === 'not-self';
      await this.#wallet.keepWhole(open.unsignedTxid, transaction.bytes, peersOnly);
      this.#options.onComplete?.(transaction);
    });
  }

  settle(_funding: Funding, settlement: Settlement): void {
    this.#later('coins were not released', async () => {
      const open = this.#open;
      this.#open = undefined;
      if (open === undefined) return;
      if (settlement === 'signed') {
        const { makerFees, minerFee } = open;
        this.#paid = { makerFees, minerFee };
        this.#signed = open.unsignedTxid;
      } else if (open.unsignedTxid !== undefined) {
        // No other side has our signatures.
        await this.#wallet.abandon(open.unsignedTxid);
      } else {
        await this.#wallet.release(open.lease);
      }
    });
  }

  /** The miner fee and our change. Throws where the plan does not allow it, whatever coins makers bring. */
  #share(
    request: FundingRequest,
    own: readonly WalletCoin[],
    minimumFeePerKb: number,
  ): MinerShare | FundingRefusal {
    const { worst, tolerance } = this.#options;
    const { makerFees, feePerKb, sweep, amount } = request;
    const left = sumOf(own) - amount - makerFees;
    const most = worstCost(worst) - makerFees;
    if (makerFees > worst.makerFees) {
      throw new WalletError(
        'fee',
        `the makers ask ${makerFees} sat, more than the ${worst.makerFees} sat of the plan: plan again`,
      );
    }
    const rates = { feePerKb, minimumFeePerKb, tolerance };
    const size = (hasChange: boolean): number => this.#vsize(request, own, hasChange);
    if (sweep) {
      if (left > 0 && left <= most && isEnough(left, size(false), rates)) {
        return { minerFee: left, change: 0 };
      }
    } else {
      const vsize = { withChange: size(true), withoutChange: size(false) };
      const share = minerShare({ left, most, vsize, ...rates });
      if (share !== undefined) return share;
    }
    const rate = Math.max(feePerKb, minimumFeePerKb);
    const offered = sweep ? left : Math.min(left, most);
    const detail =
      `${offered} sat are left for the miners of ${size(false)} vB at ${rate} sat/kvB, at most ${most} sat by ` +
      'the plan';
    // A sweep with more left than planned, or a node that relays less than before, is not due to the makers.
    if (left >= 0 && !(sweep && left > most) && minimumFeePerKb <= feePerKb) {
      const { foreignInputs } = request;
      return { refused: 'miner-fee', detail: `the makers bring ${foreignInputs} coins: ${detail}` };
    }
    throw new WalletError(left < 0 ? 'funds' : 'fee', `${detail}: plan again`);
  }

  #vsize(request: FundingRequest, own: readonly WalletCoin[], hasChange: boolean): number {
    const { destination } = this.#options.request;
    const like = scriptLike(kindOf(this.#wallet));
    return coinjoinVsize({
      inputs: [...own.map(({ script }) => script), ...request.foreignInputScripts],
      outputs: [
        destination.kind === 'internal' ? like : destination.script,
        ...(hasChange ? [like] : []),
        ...request.foreignOutputScripts,
      ],
    });
  }

  async #lease(
    request: FundingRequest,
    own: readonly WalletCoin[],
    { minerFee, change }: MinerShare,
    lockTime: number,
  ): Promise<Funding> {
    const { request: wanted } = this.#options;
    const { mixdepth, destination: target } = wanted;
    const isInternal = target.kind === 'internal';
    const next = (mixdepth + 1) % this.#wallet.secret.mixdepths;
    const requests: AddressRequest[] = [];
    if (isInternal) requests.push({ mixdepth: next, purpose: 'coinjoin' });
    if (change > 0) requests.push({ mixdepth, purpose: 'change' });
    const { lease, addresses } = await this.#wallet.lease(
      { owner: TAKER_OWNER, coins: own, seconds: LEASE_SECONDS },
      requests,
    );
    const rest: HandedOut[] = [...addresses];
    const destination = isInternal ? rest.shift() : target;
    if (destination === undefined) throw new Error('the wallet handed out no address');
    const funding: Funding = {
      coins: own.map(({ txid, vout, script, value, height }) => {
        return { txid, vout, script, value, ...(height === undefined ? {} : { height }) };
      }),
      coinjoinAddress: destination.address,
      changeAddress: change > 0 ? rest.shift()?.address : undefined,
      minerFee,
      lockTime,
    };
    this.#open = {
      funding,
      amount: request.amount,
      lease,
      destination: destination.script,
      mostSpent: sumOf(own) - change - (isInternal ? request.amount : 0),
      makerFees: request.makerFees,
      minerFee,
      unsignedTxid: undefined,
    };
    return funding;
  }

  #inOrder<T>(work: () => Promise<T>): Promise<T> {
    const run = this.#last.then(work, work);
    this.#last = run.catch(() => undefined);
    return run;
  }

  /** A change after which the round does not wait. A lease that is not released ends by itself. */
  #later(what: string, work: () => Promise<void>): void {
    void this.#inOrder(work).catch((error: unknown) => {
      this.#options.log.error(what, { reason: shownText(errorText(error)) });
    });
  }
}

/** Exactly our coins and the form of our transactions; amounts are checked by the wallet. */
function checkForm(bytes: Uint8Array, { coins, lockTime }: Funding): void {
  const parsed = parseTransaction(bytes);
  const names = new Set(coins.map(formatOutpoint));
  const own = parsed.ok ? parsed.value.inputs.filter((it) => names.has(formatOutpoint(it))) : [];
  const isFit =
    parsed.ok &&
    parsed.value.version === 2 &&
    parsed.value.lockTime === lockTime &&
    own.length === coins.length;
  if (!isFit) throw new WalletError('request', 'the transaction is not the one of this round');
}
