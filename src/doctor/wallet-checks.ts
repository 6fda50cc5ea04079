/** Checks of the folder of the wallets, and of the disk that holds it. */
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { walletsFolder } from '../config/data-files.js';
import { counted, grouped } from '../kit/decimal.js';
import { errorCode, errorCodeOrText } from '../kit/error-text.js';
import { shownLine } from '../kit/shown-text.js';
import { readLock } from '../ops/instance-lock.js';
import { nameOfId } from '../tor/control/cookie-file.js';
import { note, ok, wrong, type Check, type DoctorRole, type Verdict } from './check.js';

/** Most wallets that are named. */
const MOST_SHOWN = 20;
/** Room for a journal that grows, and for the next one while it is written. */
const ROOM_BYTES = 268_435_456;

const quoted = (path: string): string => JSON.stringify(path);
const octal = (mode: number): string => (mode & 0o7777).toString(8).padStart(4, '0');

/** Why a file or folder of a wallet does not belong to the user of the program alone. */
async function privacyFault(
  path: string,
  owner: number,
  mode: number,
): Promise<Verdict | undefined> {
  const stats = await stat(path);
  if (stats.uid !== owner) {
    const user = await nameOfId('/etc/passwd', owner);
    return wrong(
      `${path} does not belong to ${user}, the user of the data directory`,
      `sudo chown -R ${user} ${quoted(path)}`,
    );
  }
  if ((stats.mode & 0o077) === 0) return undefined;
  return wrong(
    `${path} has mode ${octal(stats.mode)}: other users can read it`,
    `chmod ${mode.toString(8)} ${quoted(path)}`,
  );
}

/** The program that writes to a wallet now, as a remark. */
async function writerOf(folder: string): Promise<string> {
  try {
    const lock = await readLock(join(folder, 'lock'));
    if (lock.state === 'free' || lock.state === 'foreign') return '';
    return lock.pid === undefined ? ' (in use)' : ` (in use by process ${lock.pid})`;
  } catch {
    return '';
  }
}

/** A maker may go without a wallet; the wallet commands may not. */
function withoutWallet(role: DoctorRole, text: string): Verdict {
  const found = { wallets: [] };
  return role === 'maker'
    ? ok(`${text}; a maker without one only announces offers, and refuses each coinjoin`, found)
    : note(text, 'onionmc wallet create NAME', found);
}

async function checkFolder(folder: string, owner: number, role: DoctorRole): Promise<Verdict> {
  const fault = await privacyFault(folder, owner, 0o700);
  if (fault !== undefined) return fault;
  const entries = await readdir(folder, { withFileTypes: true });
  const names = entries.flatMap((entry) => (entry.isDirectory() ? [entry.name] : [])).toSorted();
  const shown: string[] = [];
  for (const name of names) {
    const path = join(folder, name);
    const file = join(path, 'wallet');
    try {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      const inside =
        (await privacyFault(path, owner, 0o700)) ?? (await privacyFault(file, owner, 0o600));
      if (inside !== undefined) return inside;
    } catch (error) {
      const code = errorCodeOrText(error);
      return wrong(
        `${file} cannot be read (${code})`,
        code === 'ENOENT'
          ? `restore the wallet from a backup, or move the folder away: mv ${quoted(path)} ${quoted(`${folder}.${name}`)}`
          : 'run onionmc doctor as the user of the data directory',
      );
    }
    // oxlint-disable-next-line no-await-in-loop
    if (shown.length < MOST_SHOWN) shown.push(`${shownLine(name)}${await writerOf(path)}`);
  }
  if (names.length === 0) return withoutWallet(role, `no wallet in ${folder}`);
  const more = names.length > shown.length ? `, ${names.length - shown.length} more` : '';
  return ok(`${counted(names.length, 'wallet')}: ${shown.join(', ')}${more}`, {
    wallets: names,
  });
}

export const walletsCheck: Check = {
  id: 'wallets',
  title: 'wallet folder',
  needs: ['owner'],
  gives: ['wallets'],
  async run(facts, { datadir, role }) {
    const folder = walletsFolder(datadir);
    try {
      if (!(await stat(folder)).isDirectory()) {
        return wrong(
          `${folder} is not a folder`,
          `mv ${quoted(folder)} ${quoted(`${folder}.old`)}`,
        );
      }
    } catch (error) {
      if (errorCode(error) === 'ENOENT') {
        return withoutWallet(role, `there is no ${folder}; the first wallet makes it`);
      }
      return wrong(
        `${folder} cannot be read (${errorCodeOrText(error)})`,
        'run onionmc doctor as the user of the data directory',
      );
    }
    return checkFolder(folder, facts.get('owner'), role);
  },
};

export const diskCheck: Check = {
  id: 'disk',
  title: 'disk',
  needs: ['owner'],
  gives: [],
  async run(_facts, { datadir, space }) {
    const folder = walletsFolder(datadir);
    const left = (await space(folder)) ?? (await space(datadir));
    if (left === undefined) return note('the free space is not known', `df -h ${quoted(datadir)}`);
    const free = `${grouped(left.bytes / 1_000_000)} MB are free`;
    if (left.bytes >= ROOM_BYTES) return ok(free);
    return note(
      `${free}: a wallet signs nothing when it cannot write first`,
      `make room (df -h ${quoted(datadir)} shows it; sudo journalctl --vacuum-size=100M empties old logs)`,
    );
  },
};
