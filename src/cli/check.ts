/** `onionmc check`: probes directories of any implementation. */
import { join } from 'node:path';
import { pause } from '../kit/pause.js';
import { LOCATION_FAULTS } from '../config/directory-nodes.js';
import type { Settings } from '../config/settings.js';
import { kindsOf, overlayOf, OVERLAYS, type OverlayName } from '../config/overlays.js';
import { quotedLine } from '../kit/shown-text.js';
import { ExitCode } from '../ops/exit.js';
import { systemClock } from '../overlay/system-clock.js';
import { isFine, type ProbeResult } from '../probe/probe.js';
import { VIRTUAL_PORT, type Network } from '../protocol/constants.js';
import { formatLocation, parseLocation, type Location } from '../protocol/location.js';
import { checkDirectories, failedLocally } from '../roles/check.js';
import { historyEntry, openCheckHistory, type CheckHistory } from '../roles/check-history.js';
import { openOverlay } from '../overlay/factory/open-overlays.js';
import { checkJson, checkTable, greetingLines } from './check-view.js';
import { HISTORY_FILE } from './defaults.js';
import { UsageError } from './errors.js';
import { print, printScreen } from './print.js';
import { openProgram, type CommonOptions } from './program.js';
import { readSecretFile } from './wallet/secret-file.js';

export interface CheckCommandOptions extends CommonOptions {
  readonly relay?: boolean;
  readonly json?: boolean;
  readonly watch?: boolean;
  readonly interval: number;
  readonly socks?: { readonly host: string; readonly port: number };
  readonly network?: Network;
  readonly history?: string;
  readonly codeFile?: string;
}

const MAX_DIRECTORIES = 100;

/** What is checked. */
export interface CheckSubject {
  readonly locations: readonly Location[];
  /** Where the results are kept if no option names a file; absent: kept only with --watch. */
  readonly history?: string;
  readonly most?: number;
}

/** Parses an address in one of these overlays; names are not resolved. Throws a UsageError. */
export function parseAddress(text: string, overlays: readonly OverlayName[]): Location {
  const full = /^[a-z2-7]+\.onion$/i.test(text) ? `${text}:${VIRTUAL_PORT}` : text;
  const parsed = parseLocation(full.toLowerCase());
  if (!parsed.ok || !kindsOf(overlays).includes(parsed.value.kind)) {
    const other = parsed.ok ? overlayOf(parsed.value.kind) : undefined;
    const fault = parsed.ok ? 'of no known overlay' : LOCATION_FAULTS[parsed.reason];
    const reason = other === undefined ? fault : OVERLAYS[other].address;
    const fix = overlays.map((name) => OVERLAYS[name].fix).join('; or ');
    throw new UsageError(`${quotedLine(text)} cannot be checked (${reason}); ${fix}`);
  }
  return parsed.value;
}

function addressesToCheck(given: readonly string[], { onion, configFile }: Settings): Location[] {
  if (given.length === 0 && onion.directoryNodes.length === 0) {
    throw new UsageError(
      `name a directory to check, or list some in ${configFile} (directory_nodes)`,
    );
  }
  const all =
    given.length === 0
      ? onion.directoryNodes
      : given.map((text) => parseAddress(text, onion.overlays));
  return [...all];
}

function differentLocations({
  locations,
  most = MAX_DIRECTORIES,
}: CheckSubject): readonly Location[] {
  const different = new Map(locations.map((location) => [formatLocation(location), location]));
  if (different.size > most) {
    throw new UsageError(`${different.size} directories are too many at once; ${most} is the most`);
  }
  return [...different.values()];
}

/** With a SOCKS port given by the user, no other Tor is tried. */
function withSocks(settings: Settings, socks: CheckCommandOptions['socks']): Settings {
  if (socks === undefined) return settings;
  return { ...settings, onion: { ...settings.onion, socks, torMode: 'external' } };
}

/** The codes to show: that of the file for the one directory that is checked, else those of the configuration. */
async function codesFor(
  { codeFile }: CheckCommandOptions,
  locations: readonly Location[],
  { admission }: Settings,
): Promise<(location: Location) => string | undefined> {
  if (codeFile === undefined) {
    return (location) => admission.directoryCodes.get(formatLocation(location));
  }
  if (locations.length !== 1) {
    throw new UsageError(
      '--code-file shows its code to one directory: name one; for several, [ADMISSION] directory_codes has a code for each',
    );
  }
  const { secret } = await readSecretFile('--code-file', codeFile);
  return () => secret;
}

function exitCodeFor(results: readonly ProbeResult[]): ExitCode {
  if (results.some(failedLocally)) return ExitCode.UNREACHABLE;
  return results.every(isFine) ? ExitCode.OK : ExitCode.FAILED;
}

const nowSeconds = (): number => Math.round(Date.now() / 1000);

/** Stores the results and prints them. */
async function report(
  results: readonly ProbeResult[],
  options: CheckCommandOptions,
  network: Network,
  history: CheckHistory | undefined,
): Promise<void> {
  const now = nowSeconds();
  // A dial that failed on this machine says nothing about a directory.
  await history?.add(
    results.filter((result) => !failedLocally(result)).map((result) => historyEntry(result, now)),
  );
  if (options.json === true) {
    const kept = history === undefined ? {} : { entries: history.entries };
    print(checkJson(results, { network, now, ...kept }));
    return;
  }
  const table = checkTable(results, history && { entries: history.entries, now });
  if (options.watch !== true) {
    const greetings = greetingLines(results);
    print(greetings === '' ? table : `${table}\n${greetings}`);
    return;
  }
  const at = new Date(now * 1000).toISOString().replace('.000Z', ' UTC').replace('T', ' ');
  const title = `${at}, every ${options.interval} s, ${network}`;
  printScreen(`${title}\n\n${table}\n`);
}

export function runCheck(given: readonly string[], options: CheckCommandOptions): Promise<void> {
  return runCheckOf(
    async (settings) => ({ locations: addressesToCheck(given, settings) }),
    options,
  );
}

/** Checks the directories that `subjectOf` finds; its errors end the command. */
export async function runCheckOf(
  subjectOf: (settings: Settings) => Promise<CheckSubject>,
  options: CheckCommandOptions,
): Promise<void> {
  const program = await openProgram('check', options, { endsWithTerminal: true });
  const { log, shutdown } = program;
  const { signal } = shutdown;
  const settings = withSocks(program.settings, options.socks);
  const network = options.network ?? settings.network;
  const subject = await subjectOf(settings);
  const locations = differentLocations(subject);
  const codeOf = await codesFor(options, locations, settings);
  const ofWatch = options.watch === true ? join(settings.datadir, HISTORY_FILE) : undefined;
  const historyFile = options.history ?? subject.history ?? ofWatch;
  const history = historyFile === undefined ? undefined : await openCheckHistory(historyFile);
  const tools = { clock: systemClock, random: Math.random, log, signal };
  const opened = await openOverlay({ ...tools, settings, serves: false });
  shutdown.onStop('overlay', () => opened.close());
  const round = (): Promise<readonly ProbeResult[]> =>
    checkDirectories({
      dialer: opened.overlay,
      locations,
      network,
      relay: options.relay === true,
      codeOf,
      clock: systemClock,
      signal,
    });
  let results = await round();
  while (!signal.aborted) {
    // oxlint-disable-next-line no-await-in-loop -- one round after the other
    await report(results, options, network, history);
    if (options.watch !== true) {
      // oxlint-disable-next-line no-await-in-loop -- the end
      await shutdown.stop(exitCodeFor(results));
      return;
    }
    // oxlint-disable-next-line no-await-in-loop
    await pause(systemClock, options.interval * 1000, signal);
    // oxlint-disable-next-line no-await-in-loop
    if (!signal.aborted) results = await round();
  }
}
