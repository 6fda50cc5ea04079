/** Where client.ini is on each platform (section 11.1). Pure. */
import { posix, win32 } from 'node:path';

export type Platform = 'windows' | 'linux' | 'macos';

export interface Home {
  readonly platform: Platform;
  /** `%USERPROFILE%`, or the home folder. */
  readonly home: string;
}

/** Files that are read, in this order; a later one overrides an earlier one. */
const FILES: Readonly<Record<Platform, readonly string[]>> = {
  windows: [String.raw`{home}\lvpn\client.ini`],
  linux: ['/etc/lvpn/client.ini', '{home}/.config/lvpn/client.ini'],
  macos: ['{home}/Library/Application Support/lvpn/client.ini'],
};

/** The folder of variable data where no level says another. */
const VAR_DIRS: Readonly<Record<Platform, string>> = {
  windows: String.raw`{home}\lvpn\var`,
  linux: '{home}/.local/share/lvpn',
  macos: '{home}/Library/Application Support/lvpn/var',
};

const filled = (path: string, { home }: Home): string => path.replace('{home}', home);

export function configPlaces(home: Home): readonly string[] {
  return FILES[home.platform].map((path) => filled(path, home));
}

/** `var-dir` and `cfg-dir` of a platform. */
export function usualFolders(home: Home): { readonly varDir: string; readonly cfgDir: string } {
  const last = configPlaces(home).at(-1) ?? '';
  const path = home.platform === 'windows' ? win32 : posix;
  return { varDir: filled(VAR_DIRS[home.platform], home), cfgDir: path.dirname(last) };
}

export function platformOf(name: NodeJS.Platform): Platform {
  if (name === 'win32') return 'windows';
  return name === 'darwin' ? 'macos' : 'linux';
}
