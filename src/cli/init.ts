/**
 * `onionmc init`: creates data directory, configuration, onion key, address and unit of a directory, before Tor
 * runs; of a maker, see init-maker.ts.
 */
import { loadSettings, peekSettings, type Settings } from '../config/settings.js';
import { UNIT_NAMES } from '../ops/unit-file.js';
import { VIRTUAL_PORT } from '../protocol/constants.js';
import { UsageError } from './errors.js';
import { prepareKey, vanityPrefix, type KeySource, type PreparedKey } from './init-key.js';
import { runMakerInit } from './init-maker.js';
import {
  checkOwner,
  isForeign,
  noteWarnings,
  ownerOf,
  shellWord,
  unitFor,
  type UnitOptions,
} from './init-unit.js';
import { print, printFile, printJson, printNote } from './print.js';

interface InitOptions extends UnitOptions {
  readonly role: 'directory' | 'maker';
  readonly datadir?: string;
  readonly importKey?: string;
  readonly prefix?: string;
  /** For a maker. */
  readonly wallet?: string;
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
    lines.push(`systemd unit    ${unitDir}/${UNIT_NAMES.directory} (${note})`);
    lines.push(
      'next            systemctl daemon-reload && systemctl enable --now onionmc-directory',
    );
  } else {
    const command = `onionmc directory "your message of the day" --datadir ${shellWord(datadir)}`;
    lines.push(`next            ${command}`);
  }
  if (!changed(done)) lines.push('nothing changed: everything exists already');
  return lines.join('\n');
}

async function runDirectoryInit(options: InitOptions): Promise<void> {
  const source = keySource(options);
  const { settings: planned, configExists } = await peekSettings({
    role: 'directory',
    datadir: options.datadir,
  });
  const dir = keyFolder(planned, source);
  const owner = await ownerOf(planned.datadir);
  const unit = await unitFor('directory', options, planned.datadir, owner);
  checkOwner(planned.datadir, owner, configExists);
  const writeKey =
    dir === undefined ? undefined : await prepareKey(dir, source, isForeign(owner) ? owner : 'us');

  const { settings, createdConfig } = await loadSettings({
    role: 'directory',
    datadir: options.datadir,
  });
  const key = await writeKey?.();
  const installedUnit = await unit?.install();
  const done: Done = { settings, createdConfig, key, installedUnit, unitDir: options.unitDir };

  noteWarnings(unit);
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
  } else if (unit !== undefined && installedUnit === undefined) {
    // Standard output contains only the unit, so that it can be redirected to a file.
    printNote(summary(done));
    printFile(unit.text);
  } else print(summary(done));
}

export async function runInit(options: InitOptions): Promise<void> {
  const { role, wallet, importKey, prefix } = options;
  if (role === 'directory') {
    if (wallet !== undefined) throw new UsageError('--wallet is for makers: give --role maker');
    return runDirectoryInit(options);
  }
  if (importKey !== undefined || prefix !== undefined) {
    const option = importKey === undefined ? '--prefix' : '--import-key';
    throw new UsageError(`${option} is for directories: a maker makes a new onion for each nick`);
  }
  return runMakerInit(options);
}
