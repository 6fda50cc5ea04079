/**
 * `onionmc init`: creates data directory, configuration, onion key, address and unit, before Tor runs.
 */
import { stat } from 'node:fs/promises';
import { loadSettings, peekSettings, type Settings } from '../config/settings.js';
import {
  fillUnit,
  installUnit,
  packageRoot,
  shippedUnit,
  unreachableParts,
  UNIT_NAME,
} from '../ops/unit-file.js';
import { VIRTUAL_PORT } from '../protocol/constants.js';
import { nameOfId } from '../tor/control/cookie-file.js';
import { SYSTEM_UNIT_DIR } from './defaults.js';
import { UsageError } from './errors.js';
import { prepareKey, vanityPrefix, type KeySource, type PreparedKey } from './init-key.js';
import { print, printFile, printJson, printNote } from './print.js';

interface InitOptions {
  readonly datadir?: string;
  readonly importKey?: string;
  readonly prefix?: string;
  /** `true` without a value: print the unit. */
  readonly systemd?: true | 'print' | 'install';
  readonly unitDir: string;
  readonly json?: boolean;
}

function keySource({ importKey, prefix }: InitOptions): KeySource {
  if (importKey !== undefined && prefix !== undefined) {
    throw new UsageError('--import-key and --prefix exclude each other: a key is imported or new');
  }
  if (importKey === '') throw new UsageError('--import-key is empty; give a folder');
  if (importKey !== undefined) return { kind: 'import', from: importKey };
  if (prefix !== undefined) return { kind: 'vanity', prefix: vanityPrefix(prefix) };
  return { kind: 'new' };
}

/** The folder of the key; undefined when this program makes no key. Throws when the options need one. */
function keyFolder({ onion, configFile }: Settings, source: KeySource): string | undefined {
  const obstacle = onion.withoutTor
    ? 'regtest_count is not 0,0 (loopback test mode)'
    : onion.torMode === 'external'
      ? "tor_mode = external, so the key is Tor's own"
      : undefined;
  if (obstacle === undefined) return onion.hiddenServiceDir;
  if (source.kind === 'new') return undefined;
  throw new UsageError(`${configFile} says ${obstacle}: there is no key to import or to choose`);
}

/** The user id that owns the data directory, or will own it. */
async function ownerOf(datadir: string): Promise<number> {
  const stats = await stat(datadir).catch(() => undefined);
  return stats?.uid ?? process.geteuid?.() ?? 0;
}

/** The unit for `--systemd`. All its errors are found before anything is written. */
async function unitFor(
  options: InitOptions,
  datadir: string,
  owner: number,
): Promise<{ readonly text: string; readonly warnings: readonly string[] } | undefined> {
  if (options.systemd === undefined) return undefined;
  if (
    options.systemd === 'install' &&
    options.unitDir === SYSTEM_UNIT_DIR &&
    process.geteuid?.() !== 0
  ) {
    throw new UsageError(
      `--systemd install writes ${SYSTEM_UNIT_DIR}/${UNIT_NAME}, which only root may: run it with sudo, or use --systemd print`,
    );
  }
  const user = await nameOfId('/etc/passwd', owner);
  const place = { root: packageRoot(), node: process.execPath, datadir, user };
  const text = fillUnit(await shippedUnit(), place);
  return { text, warnings: await unreachableParts(place) };
}

const KEY_NOTES: Readonly<Record<PreparedKey['did'], string>> = {
  created: 'new; back it up: it is the address',
  imported: 'imported; its source folder is unchanged',
  found: 'new; back it up: it is the address',
  unchanged: 'exists, unchanged',
};

interface Done {
  readonly settings: Settings;
  readonly createdConfig: boolean;
  readonly key: PreparedKey | undefined;
  readonly installedUnit: boolean | undefined;
  readonly unitDir: string;
}

function addressText({ settings: { onion }, key }: Done): string {
  if (key !== undefined) return `${key.key.host}:${VIRTUAL_PORT}`;
  return onion.withoutTor
    ? `${onion.serving.host}:${onion.serving.port} (loopback test mode)`
    : 'in the hostname file of the HiddenServiceDir in your torrc';
}

function changed({ createdConfig, key, installedUnit }: Done): boolean {
  return createdConfig || installedUnit === true || (key !== undefined && key.did !== 'unchanged');
}

function summary(done: Done): string {
  const { settings, createdConfig, key, installedUnit, unitDir } = done;
  const { datadir, configFile, network, onion } = settings;
  const lines = [
    `data directory  ${datadir}`,
    `configuration   ${configFile} (${createdConfig ? 'new' : 'exists, unchanged'})`,
    `network         ${network}`,
  ];
  if (key !== undefined) {
    lines.push(`onion key       ${onion.hiddenServiceDir ?? ''} (${KEY_NOTES[key.did]})`);
  }
  lines.push(`address         ${addressText(done)}`);
  if (installedUnit !== undefined) {
    const note = installedUnit ? 'new' : 'exists, unchanged';
    lines.push(`systemd unit    ${unitDir}/${UNIT_NAME} (${note})`);
    lines.push(
      'next            systemctl daemon-reload && systemctl enable --now onionmc-directory',
    );
  } else {
    const shown = /^[\w./~-]+$/.test(datadir) ? datadir : `'${datadir.replaceAll("'", `'\\''`)}'`;
    lines.push(`next            onionmc directory "your message of the day" --datadir ${shown}`);
  }
  if (!changed(done)) lines.push('nothing changed: everything exists already');
  return lines.join('\n');
}

export async function runInit(options: InitOptions): Promise<void> {
  const source = keySource(options);
  const { settings: planned, configExists } = await peekSettings({
    role: 'directory',
    datadir: options.datadir,
  });
  const dir = keyFolder(planned, source);
  const owner = await ownerOf(planned.datadir);
  const unit = await unitFor(options, planned.datadir, owner);
  // The user of the directory could not read files that root writes here.
  const foreign = process.geteuid?.() === 0 && owner !== 0;
  if (foreign && !configExists) {
    throw new UsageError(
      `${planned.datadir} belongs to user id ${owner}: run this as that user first (sudo -u '#${owner}' onionmc init ...)`,
    );
  }
  const writeKey =
    dir === undefined ? undefined : await prepareKey(dir, source, foreign ? owner : 'us');

  const { settings, createdConfig } = await loadSettings({
    role: 'directory',
    datadir: options.datadir,
  });
  const key = await writeKey?.();
  const install = unit !== undefined && options.systemd === 'install';
  const installedUnit = install ? await installUnit(unit.text, options.unitDir) : undefined;
  const done: Done = { settings, createdConfig, key, installedUnit, unitDir: options.unitDir };

  for (const warning of unit?.warnings ?? []) {
    printNote(`onionmc: the service would not start: ${warning}`);
  }
  if (options.json === true) {
    const { datadir, configFile, network, onion } = settings;
    const result = {
      address: key && `${key.key.host}:${VIRTUAL_PORT}`,
      datadir,
      configFile,
      createdConfig,
      hiddenServiceDir: onion.hiddenServiceDir,
      network,
      key: key?.did,
      changed: changed(done),
      unit: unit?.text,
      unitInstalled: installedUnit,
      warnings: unit?.warnings,
    };
    printJson(result);
  } else if (unit !== undefined && !install) {
    // Standard output contains only the unit, so that it can be redirected to a file.
    printNote(summary(done));
    printFile(unit.text);
  } else print(summary(done));
}
