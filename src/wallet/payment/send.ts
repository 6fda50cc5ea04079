/**
 * Payments of a wallet: planned, signed, checked, sent until they are in a block, and replaced.
 * `Wallet.sign` writes the signed transaction to the journal before it returns it, so nothing leaves the
 * program that a restart does not know.
 */
import { hexToBytes } from '@noble/hashes/utils.js';
import type { Chain } from '../../chain/ports.js';
import {
  parseTransaction,
  serializeTransaction,
  type Transaction,
} from '../../bitcoin/transaction.js';
import type { RandomBytes } from '../../protocol/encryption.js';
import { formatOutpoint } from '../../protocol/outpoint.js';
import {
  WalletError,
  type PaymentPlan,
  type PaymentRequest,
  type SignedPayment,
  type WalletCoin,
} from '../api.js';
import type { SignedTransaction } from '../requests.js';
import { pathOf } from '../places.js';
import type { Wallet } from '../wallet.js';
import { changeOf, planBump } from './bump.js';
import { draftPayment, type Draft } from './draft.js';
import { scriptFacts } from './facts.js';
import { FEE_LIMITS, type FeeLimits } from './fee-limits.js';
import type { PlanTerms } from './finish-plan.js';
import { PAYMENT_SEQUENCE } from './lock-time.js';
import type { SendOutcome } from './outcome.js';
import { planPayment } from './plan.js';
import { checkReclaim, planReclaim } from './reclaim.js';
import { childNumbers, paymentPsbt, type KeyOrigin } from './psbt.js';
import { PaymentSender, signedNamed, type OpenPayment } from './sender.js';
import { paymentFault } from './verify.js';

/** What payments need. */
export interface PaymentsOptions {
  /** Synced to the tip before a payment is planned. */
  readonly wallet: Wallet;
  readonly chain: Chain;
  readonly randomBytes: RandomBytes;
  readonly limits?: FeeLimits | undefined;
}

/** A change script for sizes: that of a key that does not exist. */
const CHANGE_LIKE = {
  native: `0014${'00'.repeat(20)}`,
  nested: `a914${'00'.repeat(20)}87`,
} as const;

function parsed(bytes: Uint8Array): Transaction {
  const result = parseTransaction(bytes);
  if (result.ok) return result.value;
  throw new WalletError(
    'request',
    `the journal has a transaction that cannot be read (${result.reason})`,
  );
}

/** The payments of an open wallet. */
export class Payments {
  readonly #wallet: Wallet;
  readonly #chain: Chain;
  readonly #randomBytes: RandomBytes;
  readonly #limits: FeeLimits;
  readonly #sender: PaymentSender;

  constructor({ wallet, chain, randomBytes, limits = FEE_LIMITS }: PaymentsOptions) {
    this.#wallet = wallet;
    this.#chain = chain;
    this.#randomBytes = randomBytes;
    this.#limits = limits;
    this.#sender = new PaymentSender(wallet, chain);
  }

  /**
   * Plans a payment from the coins of the wallet. Nothing is written.
   * @throws WalletError see `planPayment`; ChainError when the source does not answer.
   */
  async plan(request: PaymentRequest, signal?: AbortSignal): Promise<PaymentPlan> {
    const terms = await this.#terms(signal);
    return planPayment({ ...terms, coins: this.#wallet.coins(), request });
  }

  /**
   * Plans the replacement of an open payment with a higher fee.
   * @throws WalletError see `planBump`; `request` when there is no such payment.
   */
  async planBump(
    txid: string,
    feePerKb: number,
    acceptAbsurdFee = false,
    signal?: AbortSignal,
  ): Promise<PaymentPlan> {
    const signed = signedNamed(this.#wallet, txid);
    const terms = await this.#terms(signal);
    return planBump({
      ...terms,
      signed,
      transaction: parsed(signed.bytes ?? signed.transaction),
      coins: this.#wallet.coins(),
      placeOf: (script) => this.#wallet.placeOf(script),
      feePerKb,
      acceptAbsurdFee,
    });
  }

  /**
   * Plans a payment of the coins of a coinjoin to a fresh address of their mixdepth. The coinjoin was signed and
   * complete, and the network does not have it: the payment conflicts with it, so that at most one of the two
   * confirms. This is how its coins are used again before a block settles it.
   * @throws WalletError `request` when there is no such coinjoin, or the chain or the mempool has it; see
   *   `planReclaim`.
   */
  async planReclaim(
    unsignedTxid: string,
    feePerKb: number,
    signal?: AbortSignal,
  ): Promise<PaymentPlan> {
    const signed = signedNamed(this.#wallet, unsignedTxid);
    checkReclaim(signed);
    const bytes = signed.bytes ?? signed.transaction;
    const { state } = await this.#chain.transactionState(bytes, signed.height, signal);
    if (state === 'mempool' || state === 'confirmed') {
      throw new WalletError('request', 'the network has this coinjoin: its coins are spent by it');
    }
    const terms = await this.#terms(signal);
    const coins = signed.coins.map((coin) => this.#wallet.coin(coin));
    this.#wallet.checkSpending();
    const mixdepth = coins[0]?.mixdepth ?? 0;
    const { script } = await this.#wallet.handOut({ mixdepth, purpose: 'change' });
    return planReclaim({ ...terms, signed, coins, script, feePerKb });
  }

  /** Throws a WalletError `request` for a plan that spends a coin whose key is outside the wallet. */
  checkKeys({ inputs }: PaymentPlan): void {
    const outside = inputs.find(({ outsideKey }) => outsideKey !== undefined);
    if (outside === undefined) return;
    const name = formatOutpoint(outside);
    throw new WalletError(
      'request',
      `the key of ${name} is outside the wallet: sign elsewhere, with --psbt`,
    );
  }

  /**
   * Signs a plan, after its change address was handed out. The result is in the journal, was read again
   * from its bytes, and is what was planned. It is not sent yet.
   * @throws WalletError when the wallet does not sign it: see `Wallet.sign`.
   */
  async sign(plan: PaymentPlan, label?: string): Promise<SignedPayment> {
    this.checkKeys(plan);
    this.#wallet.checkSpending();
    const replaced =
      plan.replaces === undefined ? undefined : signedNamed(this.#wallet, plan.replaces);
    const { draft, changeScript } = await this.#draft(plan, replaced);
    const isOwn = this.#wallet.placeOf(plan.payment.script) !== undefined;
    const { unsignedTxid, complete } = await this.#wallet.sign({
      transaction: serializeTransaction(draft),
      kind: plan.inputs.some(({ lockTime }) => lockTime !== undefined) ? 'redeem' : 'send',
      coins: plan.inputs.map(({ txid, vout }) => ({ txid, vout })),
      mostSpent: plan.fee + (isOwn ? 0 : plan.payment.value),
      replaces: replaced?.unsignedTxid,
      label,
    });
    const fault =
      complete === undefined
        ? 'a signature is missing'
        : paymentFault(complete.bytes, plan, changeScript, PAYMENT_SEQUENCE);
    if (complete !== undefined && fault === undefined) return complete;
    // Nothing was sent: the coins are free again.
    await this.#wallet.abandon(unsignedTxid);
    throw new WalletError(
      'request',
      `the signed payment is not the planned one (${fault}): not sent`,
    );
  }

  /** The unsigned payment as a PSBT (BIP174). Its change address is handed out; no coin is held. */
  async psbt(plan: PaymentPlan): Promise<Uint8Array> {
    const { draft } = await this.#draft(plan, undefined);
    return paymentPsbt(draft, this.originOf(plan.inputs));
  }

  /** The origin of the keys of this wallet's scripts, for a PSBT. */
  originOf(coins: readonly WalletCoin[]): (script: string) => KeyOrigin | undefined {
    const { secret } = this.#wallet;
    return (script) => {
      const outside = coins.find((coin) => coin.script === script)?.outsideKey;
      if (outside !== undefined) return { publicKey: hexToBytes(outside), master: undefined };
      const place = this.#wallet.placeOf(script);
      if (place === undefined) return undefined;
      const path = childNumbers(pathOf(secret, place));
      const master = path === undefined ? undefined : { fingerprint: secret.fingerprint, path };
      return { publicKey: this.#wallet.publicKeyOf(place), master };
    };
  }

  /** Sends a signed payment: see `PaymentSender.send`. */
  send(payment: SignedPayment): Promise<SendOutcome> {
    return this.#sender.send(payment);
  }

  /** Sends open payments again: see `PaymentSender.resume`. */
  resume(signal?: AbortSignal): Promise<readonly OpenPayment[]> {
    return this.#sender.resume(signal);
  }

  async #draft(
    plan: PaymentPlan,
    replaced: SignedTransaction | undefined,
  ): Promise<{ readonly draft: Draft; readonly changeScript: string | undefined }> {
    const changeScript = await this.#changeScript(plan, replaced);
    return { draft: draftPayment(plan, changeScript, this.#randomBytes), changeScript };
  }

  /** That of the replaced payment, where it has one, so that no address is used up by a bump. */
  async #changeScript(
    { change }: PaymentPlan,
    replaced: SignedTransaction | undefined,
  ): Promise<string | undefined> {
    if (change === undefined) return undefined;
    if (replaced !== undefined) {
      const placeOf = this.#wallet.placeOf.bind(this.#wallet);
      const old = changeOf(parsed(replaced.transaction), placeOf, change.mixdepth);
      if (old !== undefined) return old.script;
    }
    const { script } = await this.#wallet.handOut({ mixdepth: change.mixdepth, purpose: 'change' });
    return script;
  }

  async #terms(signal: AbortSignal | undefined): Promise<PlanTerms> {
    const [tip, minimumFeePerKb] = await Promise.all([
      this.#chain.tip(signal),
      this.#chain.minimumFeePerKb(signal),
    ]);
    return {
      tip,
      minimumFeePerKb,
      limits: this.#limits,
      changeLike: CHANGE_LIKE[this.#wallet.secret.kind],
      facts: scriptFacts(this.#wallet),
      randomBytes: this.#randomBytes,
    };
  }
}
