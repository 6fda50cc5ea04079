/** The systemd unit of `onionmc init --systemd`, and who owns the data directory. */
import { stat } from 'node:fs/promises';
import {
  fillUnit,
  installUnit,
  packageRoot,
  shippedUnit,
  unreachableParts,
  UNIT_NAMES,
  type UnitProgram,
} from '../ops/unit-file.js';
import { nameOfId } from '../tor/control/cookie-file.js';
import { SYSTEM_UNIT_DIR } from './defaults.js';
import { UsageError } from './errors.js';
import { printNote } from './print.js';

export interface UnitOptions {
  /** `true` without a value: print the unit. */
  readonly systemd?: true | 'print' | 'install';
  readonly unitDir: string;
}

/** A filled unit. */
export interface FilledUnit {
  readonly text: string;
  /** What the user of the unit cannot read, with the fix. */
  readonly warnings: readonly string[];
  /** Resolves to whether it wrote the unit; to undefined when the unit is only printed. */
  readonly install: () => Promise<boolean | undefined>;
}

/** The user id that owns the data directory, or will own it. */
export async function ownerOf(datadir: string): Promise<number> {
  const stats = await stat(datadir).catch(() => undefined);
  return stats?.uid ?? process.geteuid?.() ?? 0;
}

/** Whether root works in the data directory of another user. */
export const isForeign = (owner: number): boolean => process.geteuid?.() === 0 && owner !== 0;

/** Throws when the program could not read the configuration that root would write. */
export function checkOwner(datadir: string, owner: number, configExists: boolean): void {
  if (!isForeign(owner) || configExists) return;
  throw new UsageError(
    `${datadir} belongs to user id ${owner}: run this as that user first (sudo -u '#${owner}' onionmc init ...)`,
  );
}

/** The unit for `--systemd`. All its errors are found before anything is written. */
export async function unitFor(
  program: UnitProgram,
  { systemd, unitDir }: UnitOptions,
  datadir: string,
  owner: number,
): Promise<FilledUnit | undefined> {
  if (systemd === undefined) return undefined;
  if (systemd === 'install' && unitDir === SYSTEM_UNIT_DIR && process.geteuid?.() !== 0) {
    throw new UsageError(
      `--systemd install writes ${SYSTEM_UNIT_DIR}/${UNIT_NAMES[program]}, which only root may: run it with sudo, or use --systemd print`,
    );
  }
  const user = await nameOfId('/etc/passwd', owner);
  const place = { program, root: packageRoot(), node: process.execPath, datadir, user };
  const text = fillUnit(await shippedUnit(program), place);
  return {
    text,
    warnings: await unreachableParts(place),
    install: async () => (systemd === 'install' ? installUnit(text, unitDir, program) : undefined),
  };
}

export function noteWarnings(unit: FilledUnit | undefined): void {
  for (const warning of unit?.warnings ?? []) {
    printNote(`onionmc: the service would not start: ${warning}`);
  }
}

/** A word for a command line that a person copies. */
export const shellWord = (text: string): string =>
  /^[\w./~-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
