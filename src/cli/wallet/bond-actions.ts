/** The actions of `onionmc wallet bond`. */
import { mkdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { BondMonth } from '../../bitcoin/bond.js';
import { listBonds } from '../../bonds/bond-list.js';
import { MAX_PERIODS } from '../../bonds/certificate.js';
import type { CertifiedBond } from '../../bonds/bond-certificates.js';
import { OwnBonds } from '../../bonds/own-bonds.js';
import { resolveDatadir } from '../../config/paths.js';
import { peekSettings } from '../../config/settings.js';
import { errorCodeOrText } from '../../kit/error-text.js';
import { formatOutpoint, type Outpoint } from '../../protocol/outpoint.js';
import { chooseFeePerKb } from '../../wallet/payment/fee-rate.js';
import { UsageError } from '../errors.js';
import { print, printJson, printNote } from '../print.js';
import { bondRowJson, bondsText } from './bond-view.js';
import { networkOf } from './chain.js';
import { checkMainnet } from './mainnet.js';
import { writeNewFile } from './new-file.js';
import { pay, paymentsOf, printPsbt, type PayOptions } from './pay.js';
import { scriptOfAddress } from './payment-target.js';
import { readWallet, unixTime, writeWallet, type Session, type WriteOptions } from './session.js';

export interface BondOptions extends WriteOptions, PayOptions {
  readonly publicKey?: string;
  readonly periods?: number;
  readonly feeRate?: number;
  readonly acceptAbsurdFee?: boolean;
  readonly psbt?: string;
}

/** A redemption is not urgent. */
const REDEEM_BLOCKS = 6;
/** A base64 signature has at most 96 characters. */
const MAX_SIGNATURE_BYTES = 4_096;

function bondsOf(session: Session): OwnBonds {
  const { wallet, chain } = session;
  return new OwnBonds({ wallet, chain, payments: paymentsOf(session), unixTime });
}

/** Also beside a running maker. */
export function showBonds(name: string, options: BondOptions): Promise<void> {
  return readWallet(name, { ...options, needsChain: true }, async ({ wallet, chain, signal }) => {
    if (chain === undefined) throw new Error('a list of bonds needs the chain');
    const rows = listBonds({
      coins: wallet.coins(),
      places: wallet.bondPlaces(),
      outside: wallet.outsideBonds(),
      certificates: wallet.certificates(),
      tip: await chain.tip(signal),
      now: unixTime(),
    });
    if (options.json === true) printJson(rows.map(bondRowJson));
    else print(bondsText(rows));
  });
}

export function bondAddress(name: string, month: BondMonth, options: BondOptions): Promise<void> {
  return writeWallet(name, options, async (session) => {
    const { place, rehearsal } = await bondsOf(session).address(
      month,
      options.publicKey,
      session.signal,
    );
    const { address, path, lockTime } = place;
    if (options.json === true) {
      printJson({ address, path, locktime: lockTime, rehearsal });
      return;
    }
    printNote(`coins at this address are locked until ${month.toString()}; ${rehearsal}`);
    printNote('pay one coin to it: a second coin would be a second bond, not a larger one');
    print(address);
  });
}

/** The folder of bond files. They name coins, so they are not in the folder of the wallet. */
function bondFile(datadir: string | undefined, { txid, vout }: Outpoint): string {
  return join(resolveDatadir(datadir), 'bonds', `bond-${txid.slice(0, 16)}-${vout}.json`);
}

/** Writes the file of a certificate in the place of an older one. */
async function writeBondFile(
  name: string,
  { bond, file, lastHeight }: CertifiedBond,
  options: BondOptions,
): Promise<void> {
  const path = bondFile(options.datadir, bond.utxo);
  const temporary = `${path}.new`;
  try {
    await mkdir(join(path, '..'), { recursive: true, mode: 0o700 });
    await rm(temporary, { force: true });
    await writeNewFile(temporary, file);
    await rename(temporary, path);
  } catch (error) {
    throw new UsageError(`${path} cannot be written (${errorCodeOrText(error)})`, { cause: error });
  }
  if (options.json === true) {
    printJson({ outpoint: formatOutpoint(bond.utxo), file: path, lastHeight });
    return;
  }
  printNote(`${name}: the certificate is valid up to block ${lastHeight}`);
  printNote(`for the maker: set bond_file = ${path} in [YIELDGENERATOR] of joinmarket.cfg`);
  print(path);
}

function periodsOf({ periods }: BondOptions): number | undefined {
  if (periods === undefined || periods <= MAX_PERIODS) return periods;
  throw new UsageError(`--periods ${periods}: at most ${MAX_PERIODS}, about ten years`);
}

export async function certifyBond(
  name: string,
  outpoint: Outpoint,
  options: BondOptions,
): Promise<void> {
  const periods = periodsOf(options);
  await writeWallet(name, options, async (session) => {
    const certified = await bondsOf(session).certify(outpoint, periods, session.signal);
    await writeBondFile(name, certified, options);
  });
}

export async function coldMessage(
  name: string,
  outpoint: Outpoint,
  file: string,
  options: BondOptions,
): Promise<void> {
  const periods = periodsOf(options);
  const path = resolve(file);
  await writeWallet(name, { ...options, isKeyless: true }, async (session) => {
    const message = await bondsOf(session).coldMessage(outpoint, periods, session.signal);
    await writeNewFile(path, message.bytes);
    const { address, lastHeight } = message;
    if (options.json === true) {
      printJson({ file: path, address, lastHeight });
      return;
    }
    printNote(`sign the text of this file as a Bitcoin message with the key of ${address}`);
    printNote(`then: onionmc wallet bond ${name} cold-import SIGNATURE_FILE`);
    print(path);
  });
}

async function signatureIn(file: string): Promise<string> {
  try {
    const { size } = await stat(file);
    if (size > MAX_SIGNATURE_BYTES)
      throw new Error(`it has more than ${MAX_SIGNATURE_BYTES} bytes`);
    return await readFile(file, 'utf8');
  } catch (error) {
    throw new UsageError(`${file} cannot be read (${errorCodeOrText(error)})`, { cause: error });
  }
}

export async function coldImport(name: string, file: string, options: BondOptions): Promise<void> {
  const text = await signatureIn(resolve(file));
  await writeWallet(name, { ...options, isKeyless: true }, async (session) => {
    await writeBondFile(name, await bondsOf(session).coldImport(text), options);
  });
}

export async function redeemBond(
  name: string,
  outpoint: Outpoint,
  address: string,
  options: BondOptions,
): Promise<void> {
  const { settings } = await peekSettings({ role: 'wallet', datadir: options.datadir });
  const network = networkOf(settings);
  const script = scriptOfAddress(address, network);
  checkMainnet(network, options);
  await writeWallet(name, options, async (session) => {
    const { chain, signal } = session;
    const { feeRate, acceptAbsurdFee } = options;
    const wish = feeRate === undefined ? { blocks: REDEEM_BLOCKS } : { feePerKb: feeRate };
    const feePerKb = await chooseFeePerKb(chain, wish, signal);
    const bonds = bondsOf(session);
    const plan = await bonds.planRedeem(outpoint, script, feePerKb, acceptAbsurdFee, signal);
    const payments = paymentsOf(session);
    if (options.psbt === undefined || options.dryRun === true) {
      await pay(session, payments, { plan, address }, options);
      return;
    }
    const psbt = await payments.psbt(plan);
    await printPsbt(resolve(options.psbt), psbt, { plan, address }, options.json === true);
  });
}
