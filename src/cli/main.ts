#!/usr/bin/env node
/**
 * The entry point. `--version` loads nothing else; the argument parser is loaded for all other calls.
 */
import { writeSync } from 'node:fs';
import { VERSION } from '../roles/version.js';

const VERSION_FLAGS: ReadonlySet<string | undefined> = new Set(['--version', '-V']);

async function printVersion(): Promise<void> {
  try {
    writeSync(1, `${VERSION}\n`);
  } catch (error) {
    const { outputFailed } = await import('./lifecycle.js');
    outputFailed(error instanceof Error ? error : new Error(String(error)));
  }
}

async function run(): Promise<void> {
  if (VERSION_FLAGS.has(process.argv[2])) return printVersion();
  const { endWithOutput, failWith } = await import('./lifecycle.js');
  endWithOutput();
  process.on('unhandledRejection', failWith);
  process.on('uncaughtException', failWith);
  const [{ usePlatformCurves }, { openSslCurves }] = await Promise.all([
    import('../protocol/platform-curves.js'),
    import('../platform/openssl-curves.js'),
  ]);
  usePlatformCurves(openSslCurves);
  const { runCommandLine } = await import('./command-line.js');
  return runCommandLine(VERSION).catch(failWith);
}

await run();
