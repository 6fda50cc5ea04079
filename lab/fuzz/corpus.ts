/** The cases on disk: one file each, in a folder for each target. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { hashText } from './random.js';

export interface Case {
  /** File name: `broken-<hash>` of a case that once broke an invariant, `<outcome>-<hash>` of others. */
  readonly name: string;
  readonly input: Uint8Array;
}

export function corpusFolder(root: string, target: string): string {
  return join(root, 'lab/fuzz/corpus', target);
}

/** All cases of a target, in the order of their names; empty when there is no folder. */
export function readCorpus(root: string, target: string): Case[] {
  const folder = corpusFolder(root, target);
  let names: string[];
  try {
    names = readdirSync(folder);
  } catch {
    return [];
  }
  return names.toSorted().map((name) => ({ name, input: readFileSync(join(folder, name)) }));
}

/** The outcome that a case stands for. */
export function outcomeOf(name: string): string {
  return name.replace(/-[0-9a-f]{8}$/, '');
}

/** Writes a case; returns its path inside the checkout. */
export function writeCase(root: string, target: string, label: string, input: Uint8Array): string {
  const hash = hashText(input).toString(16).padStart(8, '0');
  const name = `${label}-${hash}`;
  mkdirSync(corpusFolder(root, target), { recursive: true });
  writeFileSync(join(corpusFolder(root, target), name), input);
  return join('lab/fuzz/corpus', target, name);
}
