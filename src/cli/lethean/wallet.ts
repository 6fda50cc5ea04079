/** `onionmc lethean wallet` and `options`. */
import { textTable } from '../../kit/text-table.js';
import { formatAmount } from '../../lethean/amount.js';
import { needed, type LetheanSettings } from '../../lethean/config/settings.js';
import { orderAmount } from '../../lethean/payment/limits.js';
import { OrderBook } from '../../lethean/payment/order-book.js';
import { partText, type OrderRecord } from '../../lethean/payment/order-record.js';
import type { Wallet } from '../../lethean/payment/wallet.js';
import { UsageError } from '../errors.js';
import { print, printJson, printNote } from '../print.js';
import { checkCanConfirm, confirm } from '../wallet/questions.js';
import { TerminalAsker } from '../wallet/terminal.js';
import { settingsOf, type Given } from './options.js';
import { logOf, lookAtWallet, settingViews, walletOf } from './parts.js';
import { startPrograms } from './programs.js';
import { moment, walletText } from './views.js';

interface JsonOptions extends Given {
  readonly json?: boolean;
}

/** A wallet that was long away reads many blocks. */
const LOOK_MS = 900_000;

/** With the programs of `run-wallet` and `run-daemon` while it works. */
async function withWallet(
  options: JsonOptions,
  work: (wallet: Wallet, settings: LetheanSettings, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const given = await settingsOf(options);
  const log = logOf(given);
  const interrupted = new AbortController();
  const stop = (): void => interrupted.abort(new UsageError('stopped by a signal'));
  process.once('SIGINT', stop).once('SIGTERM', stop);
  const signal = AbortSignal.any([interrupted.signal, AbortSignal.timeout(LOOK_MS)]);
  try {
    const programs = await startPrograms(given, log, signal);
    const { wallet, rpc } = walletOf(programs.settings);
    try {
      await work(wallet, programs.settings, signal);
    } finally {
      rpc.close();
      await programs.stop();
    }
  } finally {
    process.off('SIGINT', stop).off('SIGTERM', stop);
  }
}

export function runWallet(options: JsonOptions): Promise<void> {
  return withWallet(options, async (wallet, _settings, signal) => {
    const view = await lookAtWallet(wallet, signal);
    if (options.json === true) printJson(view);
    else print(walletText(view));
  });
}

export function runCreate(options: JsonOptions): Promise<void> {
  return withWallet(options, async (wallet, settings, signal) => {
    const address = await wallet.create(signal);
    if (options.json === true) printJson({ name: wallet.name, address });
    else print(address);
    const folder = needed(settings.values, 'run-wallet')
      ? needed(settings.values, 'wallet-dir')
      : '--wallet-dir of the wallet RPC';
    printNote(
      `wallet ${wallet.name}: its seed is in its file below ${folder}, so back that up; set wallet-address = ${address}, so that no other wallet is used by mistake`,
    );
    if (settings.wallet.password === '') {
      printNote('the file has no password: wallet-password sets one for a new wallet');
    }
  });
}

function paymentView({ order, orderedAt, state }: OrderRecord) {
  const transactions = state.kind === 'ordered' ? [] : state.transactions;
  return {
    session: order.sessionId,
    paymentId: order.paymentId,
    state: state.kind === 'sent' ? 'sent' : 'may be sent',
    orderedAt,
    days: order.days,
    amount: formatAmount(orderAmount(order)),
    fee: formatAmount(transactions.reduce((sum, { fee }) => sum + fee, 0n)),
    transactions: transactions.map(({ txid }) => txid),
    proofs: state.kind === 'sent' ? state.proofs : [],
  };
}

const PAYMENTS = [
  { heading: 'WHEN' },
  { heading: 'STATE' },
  { heading: 'DAYS', numeric: true },
  { heading: 'LTHN', numeric: true },
  { heading: 'FEE', numeric: true },
  { heading: 'SESSION' },
];

export async function runPayments(options: JsonOptions): Promise<void> {
  const { paymentsFile } = await settingsOf(options);
  const payments = (await new OrderBook(paymentsFile).all()).map(paymentView);
  if (options.json === true) printJson({ file: paymentsFile, payments });
  else if (payments.length === 0) printNote(`no payments in ${paymentsFile}`);
  else {
    const rows = payments.map((each) => [
      moment(each.orderedAt),
      each.state,
      `${each.days}`,
      each.amount,
      each.fee,
      each.session,
    ]);
    print(textTable(PAYMENTS, rows).join('\n'));
  }
}

export async function runForget(
  sessionId: string,
  options: JsonOptions & { readonly yes?: boolean },
): Promise<void> {
  const { paymentsFile } = await settingsOf(options);
  const book = new OrderBook(paymentsFile);
  const record = await book.find(sessionId);
  if (record === undefined) throw new UsageError(`no payment for this session in ${paymentsFile}`);
  const { state } = record;
  const part = state.kind === 'ordered' ? '' : partText(state.transactions);
  // `--yes` is not asked, and is told.
  if (options.yes === true && part !== '') printNote(part.trim());
  const asker = new TerminalAsker();
  try {
    checkCanConfirm(asker, options.yes);
    const isSure = await confirm(
      asker,
      `${formatAmount(orderAmount(record.order))} LTHN ${record.state.kind === 'sent' ? 'were sent' : 'may have been sent'}; a forgotten payment can be made a second time.${part} Forget it?`,
      options.yes,
    );
    if (!isSure) return;
    await book.exclusively(() => book.remove(sessionId));
  } finally {
    asker.close();
  }
  if (options.json === true) printJson({ forgotten: sessionId });
  else print('forgotten');
}

const OPTION_COLUMNS = [
  { heading: 'OPTION' },
  { heading: 'VALUE' },
  { heading: 'FROM' },
  { heading: 'MEANING' },
];

export async function runOptions(options: JsonOptions): Promise<void> {
  const settings = await settingsOf(options);
  const views = settingViews(settings);
  if (options.json === true) {
    printJson({ files: settings.files, options: views });
    return;
  }
  const rows = views.map(({ name, value, level, about }) => [name, value, level, about]);
  print(textTable(OPTION_COLUMNS, rows).join('\n'));
  printNote(
    settings.files.length === 0 ? 'no client.ini was read' : `read: ${settings.files.join(', ')}`,
  );
}
