/** The directories of a program, as its settings have them. */
import type { Log } from '../../channel/log.js';
import type { MessageChannelOptions, OnionMessageChannel } from '../../channel/message-channel.js';
import type { Clock, Overlay, Random } from '../../channel/ports.js';
import { ConfigError } from '../../config/config-error.js';
import { expandPath } from '../../config/paths.js';
import type { Settings } from '../../config/settings.js';
import type { Location } from '../../protocol/location.js';
import { DirectoryChoice } from './directory-choice.js';
import { ListServer } from './list-server.js';
import { pageOf } from './list-source.js';

export interface ChoiceParts {
  readonly settings: Settings;
  readonly overlay: Overlay;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

/** Seconds since 1970. */
export function unixTime(): number {
  return Math.floor(Date.now() / 1000);
}

/** `list_source` with the absolute path of a file; empty without one. */
export function listSourceOf({ directories, datadir }: Settings): string {
  const { listSource } = directories;
  const isFile = listSource !== '' && pageOf(listSource) === undefined;
  return isFile ? expandPath(listSource, datadir) : listSource;
}

/**
 * The choice among shipped directories and those of a signed list; undefined when no keys of lists are known, or
 * the user chose directories. Rejects with a ConfigError when no directory is known. The caller closes it.
 */
export async function openChoice({
  settings,
  overlay,
  ...tools
}: ChoiceParts): Promise<DirectoryChoice | undefined> {
  const { directories, onion, datadir, network, configFile } = settings;
  const { listKeys } = directories;
  if (listKeys === '' || onion.directoriesChosen) return undefined;
  const choice = await DirectoryChoice.open({
    ...tools,
    datadir,
    network,
    listKeys,
    listSource: listSourceOf(settings),
    shipped: onion.directoryNodes,
    dialer: overlay,
    reachable: overlay.reachable,
    unixTime,
  });
  if (choice.candidates().length > 0) return choice;
  await choice.close();
  throw new ConfigError({
    file: configFile,
    section: 'DIRECTORIES',
    key: 'list_source',
    found: 'no list that is valid now',
    allowed: `a file or page with a signed list, or directory_nodes: no ${network} directory is shipped`,
  });
}

/** What a directory serves; undefined when no keys of lists are known. The caller closes it. */
export async function openListServer({
  settings,
  overlay,
  ...tools
}: ChoiceParts): Promise<ListServer | undefined> {
  const { directories, datadir, network } = settings;
  const { listKeys } = directories;
  if (listKeys === '') return undefined;
  return ListServer.open({
    ...tools,
    datadir,
    network,
    listKeys,
    listSource: listSourceOf(settings),
    dialer: overlay,
    reachable: overlay.reachable,
    unixTime,
  });
}

/** The directories for a short visit: those of the settings, or the best of the choice. */
export function directoriesNow(
  { onion }: Settings,
  choice: DirectoryChoice | undefined,
): readonly Location[] {
  return choice ? choice.channelOptions(0).directories : onion.directoryNodes;
}

/** The options of a channel, and what follows it: with the directories of the settings, or of the choice. */
export function chosenDirectories(
  { directories, onion }: Settings,
  choice: DirectoryChoice | undefined,
  serves: boolean,
): {
  readonly options: Pick<MessageChannelOptions, 'directories' | 'welcomeAtFirst'>;
  follow(channel: OnionMessageChannel): void;
} {
  if (!choice) return { options: { directories: onion.directoryNodes }, follow() {} };
  const wanted = serves ? directories.makerDirectories : directories.takerDirectories;
  return {
    options: choice.channelOptions(wanted),
    follow: (channel) => choice.follow(channel, wanted),
  };
}
