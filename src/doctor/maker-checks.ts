/** Checks of a maker: its lock, its fidelity bond, its list of used commitments. */
import { stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { errorCodeOrText } from '../kit/error-text.js';
import { bondFilePath, commitmentListPath, makerLockPath } from '../config/data-files.js';
import { CONFIG_FILE_NAME } from '../config/settings.js';
import { isStopped } from '../platform/process-mark.js';
import { BondFileError, readBondFile, type BondFileFault } from '../ops/bond-file.js';
import { readLock } from '../ops/instance-lock.js';
import { leastHeight } from '../protocol/tip-estimate.js';
import { nameOfId } from '../tor/control/cookie-file.js';
import { note, ok, wrong, type Check, type Verdict } from './check.js';

const quoted = (path: string): string => JSON.stringify(path);

const notRunning = (datadir: string): Verdict =>
  note('not running', `to start it: onionmc maker --wallet NAME --datadir ${quoted(datadir)}`);

/** Why the lock of a maker cannot be read. */
function lockFault(path: string, code: string, datadir: string): Verdict {
  return wrong(
    `the lock ${path} cannot be read (${code}): a start fails`,
    code === 'EISDIR'
      ? `it should be a file: mv ${quoted(path)} ${quoted(`${path}.old`)}`
      : `sudo chown --reference=${quoted(datadir)} ${quoted(path)}`,
  );
}

/** Whether a file was written after another one. */
async function isNewer(path: string, other: string): Promise<boolean> {
  const [one, two] = await Promise.all([path, other].map((file) => stat(file).catch(() => {})));
  return one !== undefined && two !== undefined && one.mtimeMs > two.mtimeMs;
}

export const makerCheck: Check = {
  id: 'maker',
  title: 'maker',
  needs: [],
  gives: ['running', 'holdsPort'],
  async run(facts, machine) {
    const path = makerLockPath(machine.datadir);
    let lock;
    try {
      lock = await readLock(path);
    } catch (error) {
      const code = errorCodeOrText(error);
      if (code !== 'ENOENT') return lockFault(path, code, machine.datadir);
      return notRunning(machine.datadir);
    }
    if (lock.state === 'foreign') {
      return wrong(
        `${path} names no process, so a start takes it for the lock of another program, and fails`,
        `check that no maker runs with this data directory (pgrep -af "onionmc.*maker"), then rm ${quoted(path)}`,
      );
    }
    if (lock.state === 'free') {
      return notRunning(machine.datadir);
    }
    const { pid } = lock;
    const runs = pid === undefined ? 'runs in another container' : `runs as process ${pid}`;
    const found = { running: { state: undefined, reason: undefined }, holdsPort: true } as const;
    if (pid !== undefined && (await isStopped(pid))) {
      return wrong(
        `it ${runs}, and is stopped, so it answers no request`,
        `sudo kill -CONT ${pid}`,
        found,
      );
    }
    const keyless = facts.peek('keyless');
    if (keyless !== undefined) {
      return wrong(
        `it ${runs}, but there is no key in ${keyless}: the next start would make another address`,
        `put the key folder back at ${quoted(keyless)}, from where it was moved to or from a backup, and do not restart the maker before`,
        found,
      );
    }
    const config = join(machine.datadir, CONFIG_FILE_NAME);
    if (await isNewer(config, path)) {
      return note(
        `${runs}, and has not read the later changes in ${config}`,
        'a restart applies the changes (sudo systemctl restart onionmc-maker)',
        found,
      );
    }
    return ok(runs, found);
  },
};

function bondFix(fault: BondFileFault, path: string, owner: string, allowed: string): string {
  if (fault === 'mode') return `chmod 600 ${quoted(path)}`;
  if (fault === 'owner') return `sudo chown ${owner} ${quoted(path)}`;
  return `let bond_file in [YIELDGENERATOR] name ${allowed}; or leave it empty, to go on without a bond`;
}

export const bondCheck: Check = {
  id: 'bond',
  title: 'fidelity bond',
  needs: ['settings', 'owner'],
  gives: [],
  async run(facts, { today }) {
    const settings = facts.get('settings');
    const { network } = settings;
    const path = bondFilePath(settings);
    if (path === undefined) {
      if ((facts.peek('wallets') ?? []).length > 0) {
        return ok(
          'the most valuable one of the wallet, if it has one (onionmc wallet bond NAME list)',
        );
      }
      return note(
        'no bond: many takers drop the offers of a maker that asks a fee and has no bond',
        'bond_file in [YIELDGENERATOR] names one (docs/negotiation.md)',
      );
    }
    const tipHeight = leastHeight(network, today() / 1000);
    const uid = facts.get('owner');
    try {
      const { utxo } = await readBondFile(path, { network, tipHeight, uid });
      return ok(`that of the coin ${utxo.txid}:${utxo.vout}, in ${path}`);
    } catch (error) {
      if (!(error instanceof BondFileError)) throw error;
      const owner = await nameOfId('/etc/passwd', uid);
      return wrong(
        `${path} (bond_file) is ${error.found}: a start fails`,
        bondFix(error.code, path, owner, error.allowed),
      );
    }
  },
};

/** The path, or the nearest folder above it that exists. */
async function nearest(path: string) {
  for (let at = path; ; at = dirname(at)) {
    try {
      // oxlint-disable-next-line no-await-in-loop -- upwards, one after the other
      return { at, stats: await stat(at) };
    } catch (error) {
      if (at === dirname(at) || errorCodeOrText(error) === 'EACCES') throw error;
    }
  }
}

export const commitmentsCheck: Check = {
  id: 'commitments',
  title: 'commitment list',
  needs: ['settings', 'owner'],
  gives: [],
  async run(facts) {
    const path = commitmentListPath(facts.get('settings'));
    const uid = facts.get('owner');
    const owner = await nameOfId('/etc/passwd', uid);
    const { at, stats } = await nearest(path);
    const isList = at === path;
    if (isList ? !stats.isFile() : !stats.isDirectory()) {
      return wrong(
        `${at} is not a ${isList ? 'file' : 'folder'}: a start fails`,
        `mv ${quoted(at)} ${quoted(`${at}.old`)}`,
      );
    }
    // Root may read and write anything.
    if (uid !== 0 && stats.uid !== uid) {
      const others = isList ? 0o006 : 0o003;
      if ((stats.mode & others) !== others) {
        return wrong(
          `${at} does not belong to ${owner}, the user of the maker: a start fails`,
          `sudo chown ${owner} ${quoted(at)}`,
        );
      }
    } else if (uid !== 0) {
      const needed = isList ? 0o600 : 0o700;
      if ((stats.mode & needed) !== needed) {
        return wrong(
          `${owner} may not write ${at}: a start fails`,
          `chmod ${needed.toString(8)} ${quoted(at)}`,
        );
      }
    }
    return ok(isList ? path : `no list yet; the first start makes ${path}`);
  },
};
