/** The end of `send`, `bump` and `bond redeem`: a plan is shown, agreed to, signed and sent. */
import { randomBytes } from 'node:crypto';
import { ExitCode } from '../../ops/exit.js';
import type { PaymentPlan } from '../../wallet/api.js';
import { FEE_LIMITS } from '../../wallet/payment/fee-limits.js';
import type { SendOutcome } from '../../wallet/payment/outcome.js';
import { Payments } from '../../wallet/payment/send.js';
import { print, printJson, printNote } from '../print.js';
import { writeNewFile } from './new-file.js';
import { planJson, planText } from './payment-view.js';
import { checkCanConfirm, confirm } from './questions.js';
import type { Session } from './session.js';

/** How a plan is carried out. */
export interface PayOptions {
  readonly dryRun?: boolean;
  readonly yes?: boolean;
  readonly json?: boolean;
}

type PaymentSession = Pick<Session, 'wallet' | 'chain' | 'settings'>;

/** The payments of an open wallet. */
export function paymentsOf({ wallet, chain, settings }: PaymentSession): Payments {
  const limits = { ...FEE_LIMITS, feePerKb: settings.policy.absurdFeePerKb };
  return new Payments({ wallet, chain, limits, randomBytes: (length) => randomBytes(length) });
}

/**
 * Sends open payments again that the node does not have, also after a crash between signing and sending,
 * and says what became of those that it does not take.
 */
export async function resumePayments(
  session: PaymentSession & { readonly signal: AbortSignal },
): Promise<void> {
  for (const { txid, outcome } of await paymentsOf(session).resume(session.signal)) {
    const said = outcomeText(outcome);
    if (said !== undefined) printNote(`note: payment ${txid}: ${said}`);
  }
}

/** What a person should know when a payment was not taken; undefined when it was. */
export function outcomeText(outcome: SendOutcome): string | undefined {
  switch (outcome.kind) {
    case 'sent':
    case 'confirmed':
      return undefined;
    case 'conflict':
    case 'unclear':
    case 'refused':
    case 'waiting':
      return outcome.text;
  }
}

function exitCodeFor(outcome: SendOutcome): ExitCode {
  if (outcomeText(outcome) === undefined) return ExitCode.OK;
  return outcome.kind === 'waiting' ? ExitCode.UNREACHABLE : ExitCode.FAILED;
}

/** Shows a plan, asks, signs, sends, and tells what became of it. */
export async function pay(
  session: Session,
  payments: Payments,
  { plan, address, label }: { plan: PaymentPlan; address: string; label?: string | undefined },
  options: PayOptions,
): Promise<void> {
  const isJson = options.json === true;
  if (options.dryRun === true) {
    if (isJson) printJson({ txid: null, outcome: 'dry-run', ...planJson(plan, address) });
    else print(planText(plan, address));
    return;
  }
  payments.checkKeys(plan);
  checkCanConfirm(session.asker, options.yes);
  printNote(planText(plan, address));
  if (!(await confirm(session.asker, 'Send it?', options.yes))) {
    printNote('nothing was signed or sent');
    process.exitCode = ExitCode.FAILED;
    return;
  }
  const signed = await payments.sign(plan, label);
  const outcome = await payments.send(signed);
  const said = outcomeText(outcome);
  process.exitCode = exitCodeFor(outcome);
  if (isJson) {
    const reason = said === undefined ? {} : { reason: said };
    printJson({ txid: signed.txid, outcome: outcome.kind, ...reason, ...planJson(plan, address) });
  } else {
    print(signed.txid);
  }
  if (said !== undefined) printNote(`onionmc: ${signed.txid}: ${said}`);
}

/** Writes a plan as an unsigned PSBT, and tells what it is. */
export async function printPsbt(
  path: string,
  psbt: Uint8Array,
  { plan, address }: { readonly plan: PaymentPlan; readonly address: string },
  isJson: boolean,
): Promise<void> {
  await writeNewFile(path, psbt);
  if (isJson) {
    printJson({ txid: null, outcome: 'psbt', file: path, ...planJson(plan, address) });
    return;
  }
  printNote(planText(plan, address));
  print(`${path}: an unsigned PSBT; nothing was sent, and its coins are not reserved`);
}
