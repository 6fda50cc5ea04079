/**
 * The wallet: derivation of whole branches beside the library's, the opening beside the cost of its password,
 * the first reading of a chain with many transactions and the second start, with memory.
 */
import { HDKey } from '@scure/bip32';
import { bytesToHex } from '@noble/hashes/utils.js';
import { p2wpkh } from '@scure/btc-signer/payment.js';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { bitcoindCommand, MISSING } from '../../test/helpers/bitcoin-program.js';
import { BitcoinNode, freePort } from '../../test/helpers/bitcoin-node.js';
import { branchKey, deriveEach, keyScript, type BranchKey } from '../../src/wallet/derive.js';
import { WalletKeys } from '../../src/wallet/keys.js';
import { createWalletStore } from '../../src/wallet/store/store.js';
import type { WalletSecret } from '../../src/wallet/store/api.js';
import { startChild } from './process.js';
import { printTable } from './table.js';
import { fillWithPayments } from './wallet-payments.js';

const BRANCHES = 10;
const PER_BRANCH = 1_000;
/** Indices of each branch that are compared with the library, unless `--quick`. */
const COMPARED = 10_000;
/** Least ratio of the library's CPU time to ours. */
const LEAST_RATIO = 5;
/** Longest turn of the event loop, in milliseconds. */
const LONGEST_TURN_MS = 20;
const TRANSACTIONS = 5_000;
const QUICK_TRANSACTIONS = 500;

const cpuMs = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
};

async function branchesOf(entropy: string): Promise<readonly BranchKey[]> {
  const keys = await WalletKeys.derive({
    network: 'regtest',
    entropy,
    kind: 'native',
    mixdepths: BRANCHES / 2,
  });
  const branches = keys.accounts().flatMap((account) => [0, 1].map((it) => branchKey(account, it)));
  keys.close();
  return branches;
}

function byLibrary({ publicKey, chainCode }: BranchKey, from: number, count: number): string[] {
  const parent = new HDKey({ publicKey, chainCode });
  return Array.from({ length: count }, (_, i) => {
    const key = parent.deriveChild(from + i).publicKey;
    if (key === null) throw new Error('a key is complete');
    return bytesToHex(p2wpkh(key).script);
  });
}

/** Throws when a script of a branch is another one by the library. */
function compare(ours: readonly string[], theirs: readonly string[], from: number): void {
  const at = theirs.findIndex((script, i) => ours[i] !== script);
  if (at >= 0)
    throw new Error(`the script of index ${from + at} is ${ours[at]}, not ${theirs[at]}`);
  if (ours.length !== theirs.length)
    throw new Error(`${ours.length} scripts, not ${theirs.length}`);
}

/** Which limits the derivation exceeds. */
function derivationFaults(ratio: number, longestMs: number): readonly string[] {
  const faults: string[] = [];
  if (!(ratio >= LEAST_RATIO)) faults.push(`the CPU time is more than 1/${LEAST_RATIO}`);
  if (!(longestMs <= LONGEST_TURN_MS)) faults.push(`a turn took ${longestMs.toFixed(1)} ms of CPU`);
  return faults;
}

/**
 * Both ways over the same branches; the first run of each is not counted, so that both are compiled.
 * @returns which limits are exceeded
 */
async function derivation(quick: boolean): Promise<readonly string[]> {
  const branches = await branchesOf('42'.repeat(32));
  const [first] = branches;
  if (first === undefined) throw new Error('a wallet has branches');
  let longest = 0;
  let began = cpuMs();
  const turn = async (): Promise<void> => {
    longest = Math.max(longest, cpuMs() - began);
    await setImmediate();
    began = cpuMs();
  };
  byLibrary(first, 0, 100);
  // The tables are part of the cost.
  began = cpuMs();
  const start = cpuMs();
  const ours: string[][] = [];
  for (const branch of branches) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other is what is measured
    ours.push([...(await deriveEach(branch, 0, PER_BRANCH, keyScript('native'), turn))]);
  }
  const own = cpuMs() - start;
  const again = cpuMs();
  const theirs = branches.map((branch) => byLibrary(branch, 0, PER_BRANCH));
  const library = cpuMs() - again;
  const total = BRANCHES * PER_BRANCH;
  theirs.forEach((scripts, i) => compare(ours[i] ?? [], scripts, 0));
  printTable(
    ['way', 'scripts', 'CPU ms', 'microseconds each', 'longest turn, CPU ms'],
    [
      [
        'library, one by one',
        `${total}`,
        library.toFixed(0),
        ((library / total) * 1e3).toFixed(0),
        '',
      ],
      [
        'together',
        `${total}`,
        own.toFixed(0),
        ((own / total) * 1e3).toFixed(0),
        longest.toFixed(1),
      ],
      ['ratio', '', (library / own).toFixed(1), '', ''],
    ],
  );
  const faults = derivationFaults(library / own, longest);
  if (quick) return faults;
  for (const branch of branches) {
    // oxlint-disable-next-line no-await-in-loop
    const derived = await deriveEach(
      branch,
      PER_BRANCH,
      COMPARED - PER_BRANCH,
      keyScript('native'),
    );
    const expected = byLibrary(branch, PER_BRANCH, COMPARED - PER_BRANCH);
    compare(derived, expected, PER_BRANCH);
  }
  console.log(`${BRANCHES * COMPARED} scripts are the same both ways.\n`);
  return faults;
}

/** What a child measured: see `wallet-process.ts`. */
interface Report {
  readonly kdfMs: number;
  readonly openMs: number;
  readonly syncMs: number;
  readonly coins: number;
  readonly rssBytes: number;
}

async function measure(
  folder: string,
  port: number,
  cookie: string,
  sync: boolean,
): Promise<Report> {
  const child = startChild('wallet-process.js', [folder, port, cookie], ['--expose-gc']);
  try {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- written by our child
    return JSON.parse(await child.ask(sync ? 'sync' : 'idle')) as Report;
  } finally {
    await child.stop();
  }
}

const MEGABYTE = 1e6;
const row = (name: string, report: Report, idle: Report): string[] => [
  name,
  report.kdfMs.toFixed(0),
  report.openMs.toFixed(0),
  report.syncMs.toFixed(0),
  `${report.coins}`,
  ((report.rssBytes - idle.rssBytes) / MEGABYTE).toFixed(1),
];

async function reading(quick: boolean): Promise<void> {
  if (bitcoindCommand() === undefined) {
    console.log(`No reading of a chain: ${MISSING}.\n`);
    return;
  }
  const datadir = await mkdtemp(join(tmpdir(), 'onionmc-bench-'));
  const node = new BitcoinNode(datadir, await freePort(), await freePort(), {});
  const count = quick ? QUICK_TRANSACTIONS : TRANSACTIONS;
  try {
    await node.start();
    const entropy = randomBytes(32).toString('hex');
    await fillWithPayments(node, await branchesOf(entropy), count);
    const folder = join(datadir, 'wallet');
    const store = await createWalletStore(folder, {
      secret: await secretOf(entropy),
      password: 'bench',
    });
    await store.close();
    const port = node.rpcPort;
    const idle = await measure(folder, port, node.cookieFile, false);
    const first = await measure(folder, port, node.cookieFile, true);
    const second = await measure(folder, port, node.cookieFile, true);
    printTable(
      [
        `${count} transactions`,
        'password ms',
        'opening ms',
        'reading ms',
        'coins',
        'MB above idle',
      ],
      [row('first start', first, idle), row('second start', second, idle)],
    );
    if (first.coins !== count) throw new Error(`${first.coins} coins instead of ${count}`);
  } finally {
    await node.stop('SIGKILL');
    await rm(datadir, { recursive: true, force: true });
  }
}

async function secretOf(entropy: string): Promise<WalletSecret> {
  const source = { network: 'regtest', entropy, kind: 'native', mixdepths: BRANCHES / 2 } as const;
  const keys = await WalletKeys.derive(source);
  keys.close();
  const { fingerprint } = keys;
  return { ...source, fingerprint, hasPassphrase: false, birthHeight: 0, created: 1_700_000_000 };
}

/** Fails when a script differs from the library's, and when the derivation exceeds a limit. */
export async function benchWallet(quick: boolean): Promise<void> {
  const faults = await derivation(quick);
  await reading(quick);
  for (const fault of faults) console.error(`bench: derivation: ${fault}`);
  if (faults.length > 0) process.exitCode = 1;
}
