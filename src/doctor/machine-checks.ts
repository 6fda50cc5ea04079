/** Checks of the machine: the tor program, the limit of open files. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { versionAtLeast } from '../kit/version-numbers.js';
import { parseTorVersion } from '../tor/control/values.js';
import {
  needsNoTor,
  note,
  ok,
  skipped,
  wrong,
  type Check,
  type Machine,
  type Verdict,
} from './check.js';
import { lookAtUpstream } from './upstream.js';

/** The oldest series that is known to work. */
const OLDEST_TOR = [0, 4, 7, 0] as const;
const PROGRAM_TIMEOUT_MS = 10_000;
/** Open files in addition to those of peers: Tor, the status page, files. */
const OTHER_FILES = 64;
/** Assumed number of peers when there is no limit. */
const MANY_PEERS = 10_000;

const run = promisify(execFile);

/** Why a version of Tor is too old, or undefined. */
export function torVersionFault(version: string): Verdict | undefined {
  const numbers = parseTorVersion(version);
  if (numbers === undefined || versionAtLeast(numbers, OLDEST_TOR)) return undefined;
  return wrong(
    `Tor ${version} is too old`,
    'install a newer one: sudo apt-get update && sudo apt-get install tor',
  );
}

async function outputOf(machine: Machine, argument: string): Promise<string | undefined> {
  try {
    const { stdout } = await run(machine.torProgram, [argument], {
      timeout: PROGRAM_TIMEOUT_MS,
      signal: machine.signal,
    });
    return stdout;
  } catch {
    return undefined;
  }
}

export const torProgramCheck: Check = {
  id: 'tor-program',
  title: 'tor program',
  needs: ['settings'],
  gives: ['torProgram'],
  async run(facts, machine) {
    const { withoutTor, torMode, upstream } = facts.get('settings').onion;
    if (withoutTor) return needsNoTor(facts.get('settings').onion);
    const text = await outputOf(machine, '--version');
    const version = /Tor version ([^\s]+?)\.?\s/.exec(text ?? '')?.[1];
    if (version === undefined) {
      const missing = `the program "${machine.torProgram}" is not installed, or does not run`;
      const install = 'sudo apt-get install tor';
      return torMode === 'managed'
        ? wrong(`${missing}, and tor_mode = managed needs it`, install)
        : note(`${missing}; needed here only if no other Tor is`, install);
    }
    const fault = torVersionFault(version);
    const found = { torProgram: true } as const;
    if (fault !== undefined) return { ...fault, found };
    const way = upstream && (await lookAtUpstream(upstream, machine.signal));
    if (way?.fault === true) {
      const fix = 'start that proxy, or correct upstream in [TOR] of the configuration';
      return wrong(`${version}; ${way.text}`, fix, found);
    }
    const through = way === undefined ? '' : `; ${way.text}`;
    const modules = (await outputOf(machine, '--list-modules')) ?? '';
    return /^pow: yes$/m.test(modules)
      ? ok(`${version}, with proof of work${through}`, found)
      : note(
          `${version} has no proof-of-work module, a defence against floods${through}`,
          'install a build that has it (Debian: sudo apt-get install tor)',
          found,
        );
  },
};

export const openFilesCheck: Check = {
  id: 'open-files',
  title: 'open files',
  needs: ['settings'],
  gives: [],
  async run(facts, machine) {
    const { maxPeers, maxUnhandshaked } = facts.get('settings').directory;
    const wanted = (maxPeers || MANY_PEERS) + maxUnhandshaked + OTHER_FILES;
    const limit = await machine.openFiles();
    if (limit === undefined) return skipped('the limit of this system is unknown');
    if (limit >= wanted) return ok(`limit ${limit}, at most ${wanted} needed`);
    return wrong(
      `a process started here may open ${limit} files, ${wanted} are needed for [DIRECTORY] max_peers = ${maxPeers}`,
      `LimitNOFILE=65536 in the systemd unit (the shipped one has it), or ulimit -n ${wanted} in the shell that starts it, or a smaller max_peers`,
    );
  },
};
