/**
 * The versions that are compared: this one, and with `--before FOLDER` another. The programs of the bench are
 * those of this version on both sides, compiled beside the other sources; all else that they import is the
 * other version's.
 */
import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { startChild, type Child } from './process.js';

export interface Side {
  readonly name: 'before' | 'now';
  /** Starts a program of this folder on the sources of the side. */
  start(module: string, args: readonly (string | number)[]): Child;
}

const HERE = fileURLToPath(new URL('.', import.meta.url));
/** The programs, and the modules of this folder that they import. */
const COPIED = /^(?:coinjoin-.*|process)\.js$/;

function sideIn(name: Side['name'], folder: string): Side {
  return {
    name,
    start: (module, args) => startChild(pathToFileURL(join(folder, module)), args),
  };
}

/** Compiles the other version, and copies the programs there; throws when it is not set up. */
function prepare(folder: string): string {
  const root = resolve(folder);
  if (
    !existsSync(join(root, 'scripts', 'compile.mjs')) ||
    !existsSync(join(root, 'node_modules'))
  ) {
    throw new Error(`${root} has no sources of onionmc with npm packages; run scripts/setup there`);
  }
  execFileSync(process.execPath, [join(root, 'scripts', 'compile.mjs')], { stdio: 'inherit' });
  const target = join(root, '.build', 'compiled', 'lab', 'bench');
  mkdirSync(target, { recursive: true });
  for (const file of readdirSync(HERE)) {
    if (COPIED.test(file)) copyFileSync(join(HERE, file), join(target, file));
  }
  return target;
}

/** @param before a folder with the sources of the other version */
export function sidesOf(before: string | undefined): readonly Side[] {
  const now = sideIn('now', HERE);
  return before === undefined ? [now] : [sideIn('before', prepare(before)), now];
}
