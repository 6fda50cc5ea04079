/**
 * The systemd unit of a program for one machine: the shipped file with the paths of this program, of
 * Node.js and of the data directory, and the user that owns it. No setting is written anywhere else.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { errorCodeOrText } from '../kit/error-text.js';
import { ExitCode } from './exit.js';
import { accountOf, barrierTo, NEW_ACCOUNT } from './user-access.js';

/** The root of this package: `src/ops` and `dist/ops` are both two levels below it. */
export function packageRoot(): string {
  return fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');
}

/** The programs whose units can be filled: a directory, and a maker with the wallet of its instance. */
export type UnitProgram = 'directory' | 'maker';

export const UNIT_NAMES: Readonly<Record<UnitProgram, string>> = {
  directory: 'onionmc-directory.service',
  maker: 'onionmc-maker@.service',
};

/** Values in the shipped unit that are replaced. */
const SHIPPED_ROOT = '/opt/onionmc';
const SHIPPED_START = /^ExecStart=node \S*main\.js (.*) --datadir \S*$/m;
const SHIPPED_STATE = /^StateDirectory=.*$/m;
/** Folders that `ProtectHome=yes` hides. */
const HOMES = /^\/(?:home|root|run\/user)(?:\/|$)/;
/** A folder that systemd creates for the service (`StateDirectory=`). */
const STATE_FOLDER = /^\/var\/lib\/([A-Za-z0-9][A-Za-z0-9_.-]{0,30})$/;

/** The unit cannot be written, or must not be. */
export class UnitError extends Error {
  override readonly name = 'UnitError';
  readonly exitCode = ExitCode.USAGE;
}

export interface UnitPlace {
  readonly program: UnitProgram;
  /** The root of this package, where `dist/cli/main.js` is. */
  readonly root: string;
  /** The Node.js program. */
  readonly node: string;
  /** Absolute. */
  readonly datadir: string;
  /**
   * The user who owns the data directory. Not needed for a directory in `/var/lib/NAME`, which gets a user
   * that exists only while the service runs.
   */
  readonly user: string | undefined;
}

/** One word of `ExecStart=`: quoted, with specifiers and variables escaped. */
function word(text: string): string {
  const escaped = text.replace(/[\\"]/g, '\\$&').replaceAll('%', '%%').replaceAll('$', '$$$$');
  return /[\s'"\\;]/.test(text) ? `"${escaped}"` : escaped;
}

/** A path in another setting: quoted, with specifiers escaped. */
function path(text: string): string {
  const escaped = text.replace(/[\\"]/g, '\\$&').replaceAll('%', '%%');
  return /[\s'"\\:]/.test(text) ? `"${escaped}"` : escaped;
}

/** Replaces or removes one setting, which the shipped unit must have. */
function replaceSetting(unit: string, name: string, value: string | undefined): string {
  const line = new RegExp(`^${name}=.*\\n`, 'm');
  if (!line.test(unit)) throw new UnitError(`the shipped unit has no ${name}=`);
  return unit.replace(line, () => (value === undefined ? '' : `${name}=${value}\n`));
}

/** The advice for a data directory of root. */
const OWN_USER: Readonly<Record<UnitProgram, (datadir: string) => string>> = {
  directory: (datadir) =>
    `choose --datadir /var/lib/onionmc-directory (systemd makes a user for it), or hand the folder to a user first: sudo chown -R USER "${datadir}"`,
  maker: (datadir) =>
    `make a user for it first (docs/maker.md): sudo adduser --system --group --home /var/lib/onionmc onionmc, and use --datadir /var/lib/onionmc; or hand the folder to a user: sudo chown -R USER "${datadir}"`,
};

/** The folder of `StateDirectory=`, if the data directory is one. */
const stateFolder = (datadir: string): string | undefined => STATE_FOLDER.exec(datadir)?.[1];

/** Whether systemd makes the user. The wallet of a maker is used by hand too, so its user always exists. */
const isDynamic = ({ program, datadir }: UnitPlace): boolean =>
  program === 'directory' && stateFolder(datadir) !== undefined;

/** The command of `ExecStart=`; `words` are those between the program and `--datadir`, as shipped. */
function startCommand({ node, root, datadir }: UnitPlace, words: string): string {
  const main = join(root, 'dist/cli/main.js');
  return `${word(node)} ${word(main)} ${words} --datadir ${word(datadir)}`;
}

function withStaticUser(unit: string, place: UnitPlace): string {
  const { user, datadir, root, node, program } = place;
  if (user === undefined || user === 'root') {
    throw new UnitError(
      `the data directory ${datadir} belongs to root, and a ${program} should not run as root: ${OWN_USER[program](datadir)}`,
    );
  }
  let filled = unit;
  if (program === 'directory') {
    filled = replaceSetting(filled, 'DynamicUser', undefined);
    filled = filled.replace(/^# A user that exists only .*\n(?:# .*\n)*/m, '');
  }
  filled = replaceSetting(filled, 'User', path(user));
  const home = [root, node, datadir].some((p) => HOMES.test(p)) ? 'read-only' : 'yes';
  const name = stateFolder(datadir);
  if (name !== undefined) {
    filled = replaceSetting(filled, 'StateDirectory', name);
    return replaceSetting(filled, 'ProtectHome', home);
  }
  filled = replaceSetting(filled, 'StateDirectoryMode', undefined);
  filled = replaceSetting(filled, 'StateDirectory', undefined);
  return replaceSetting(
    filled,
    'ProtectHome',
    `${home}\n# The only folder outside /proc that it may write to.\nReadWritePaths=${path(datadir)}`,
  );
}

/** The filled unit. Throws a UnitError when a unit cannot serve this place. */
export function fillUnit(shipped: string, place: UnitPlace): string {
  const { root, node, datadir } = place;
  for (const value of [root, node, datadir]) {
    if (/[\p{Cc}]/u.test(value)) {
      throw new UnitError('a path with a control character cannot go into a systemd unit');
    }
  }
  const words = SHIPPED_START.exec(shipped)?.[1];
  if (words === undefined || !SHIPPED_STATE.test(shipped)) {
    throw new UnitError('the shipped unit has no ExecStart= or StateDirectory= as expected');
  }
  const started = shipped
    .replace(SHIPPED_START, () => `ExecStart=${startCommand(place, words)}`)
    .replaceAll(SHIPPED_ROOT, () => root.replaceAll('%', '%%'));
  const name = stateFolder(datadir);
  if (name === undefined || !isDynamic(place)) return withStaticUser(started, place);
  let filled = replaceSetting(started, 'User', name);
  filled = replaceSetting(filled, 'StateDirectory', name);
  if (!HOMES.test(root) && !HOMES.test(node)) return filled;
  return replaceSetting(filled, 'ProtectHome', 'read-only');
}

const NEEDS = { read: 'be read', search: 'be entered', execute: 'be read and run' } as const;

/**
 * What the user of the unit cannot use, one line each with its fix: Node.js, this program, its packages
 * and the data directory. The service would fail at its start.
 */
export async function unreachableParts(place: UnitPlace): Promise<readonly string[]> {
  const { root, node, datadir, user } = place;
  const isNew = isDynamic(place) || user === undefined;
  const account = isNew ? NEW_ACCOUNT : await accountOf(user);
  const main = join(root, 'dist/cli/main.js');
  const parts = [
    ['Node.js', node, 'execute'],
    ['the program', main, 'read'],
    ['the packages of the program', createRequire(main).resolve('commander'), 'read'],
    ...(isNew ? [] : [['the data directory', datadir, 'execute'] as const]),
  ] as const;
  const barriers = await Promise.all(
    parts.map(async ([what, file, needs]) => {
      const barrier = await barrierTo(account, file, needs);
      return barrier && { what, file, ...barrier };
    }),
  );
  const who = isNew ? 'the user that systemd makes for the service' : `user ${user}`;
  return barriers.flatMap((found) => {
    if (found === undefined) return [];
    const { what, file, path: blocked, mode, needs } = found;
    const octal = mode.toString(8).padStart(4, '0');
    const fix = needs === 'search' ? 'o+x' : needs === 'read' ? 'o+r' : 'o+rx';
    return [
      `${what} (${file}) is closed to ${who}: ${blocked} has mode ${octal} and cannot ${NEEDS[needs]}; install it where every user can read it (/opt/onionmc, Debian's nodejs), or: sudo chmod ${fix} "${blocked}"`,
    ];
  });
}

/** The names of the services, for `systemctl edit`. */
const EDITED: Readonly<Record<UnitProgram, string>> = {
  directory: 'onionmc-directory',
  maker: 'onionmc-maker@NAME',
};

/** The unit that the package ships. */
export function shippedUnit(program: UnitProgram): Promise<string> {
  return readFile(join(packageRoot(), 'systemd', UNIT_NAMES[program]), 'utf8');
}

/**
 * Writes the unit into `dir`, which must exist (mode 0644). Does not change a file that exists;
 * resolves to whether it wrote one. Rejects with a UnitError when another text is there, or when no
 * unit may be written.
 */
export async function installUnit(
  unit: string,
  dir: string,
  program: UnitProgram,
): Promise<boolean> {
  const file = join(dir, UNIT_NAMES[program]);
  try {
    await writeFile(file, unit, { flag: 'wx', mode: 0o644 });
    return true;
  } catch (error) {
    const code = errorCodeOrText(error);
    if (code !== 'EEXIST') {
      throw new UnitError(`cannot write ${file} (${code}): run it as root: sudo onionmc init ...`, {
        cause: error,
      });
    }
  }
  if ((await readFile(file, 'utf8')) === unit) return false;
  throw new UnitError(
    `${file} is there and differs, so it was left as it is: keep changes in a drop-in (systemctl edit ${EDITED[program]}), or move the file away and run this again; onionmc init ${program === 'maker' ? '--role maker ' : ''}--systemd prints the unit to compare`,
  );
}
