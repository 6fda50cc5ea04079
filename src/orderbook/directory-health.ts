/** How long each directory was connected, and how often it was lost. */
import type { DirectoryDown, DirectoryUp, OnionMessageChannel } from '../channel/channel-api.js';
import type { Clock } from '../channel/ports.js';
import { formatLocation } from '../protocol/location.js';

export interface Health {
  /** Since when the state holds; undefined before the first attempt ended. */
  readonly since: number | undefined;
  readonly sessions: number;
  readonly losses: number;
  /** Milliseconds. */
  readonly upForMs: number;
}

export interface DirectoryHealth {
  of(directory: string): Health;
  close(): void;
}

interface Record {
  up: boolean;
  since: number | undefined;
  sessions: number;
  losses: number;
  upBeforeMs: number;
}

/** @param onChange called after the state of a directory was recorded */
export function watchDirectories(
  channel: Pick<OnionMessageChannel, 'directories' | 'on' | 'off'>,
  clock: Clock,
  onChange: (directory: string, up: boolean) => void,
): DirectoryHealth {
  const records = new Map<string, Record>();

  function recordOf(directory: string): Record {
    const known = records.get(directory);
    if (known) return known;
    const fresh = { up: false, since: undefined, sessions: 0, losses: 0, upBeforeMs: 0 };
    records.set(directory, fresh);
    return fresh;
  }

  function up(directory: string): void {
    const record = recordOf(directory);
    record.up = true;
    record.since = clock.now();
    record.sessions++;
  }

  const onUp = ({ location }: DirectoryUp): void => {
    const directory = formatLocation(location);
    up(directory);
    onChange(directory, true);
  };
  const onDown = ({ location }: DirectoryDown): void => {
    const directory = formatLocation(location);
    const record = recordOf(directory);
    const now = clock.now();
    if (record.up) {
      record.losses++;
      record.upBeforeMs += now - (record.since ?? now);
      record.since = now;
    }
    record.since ??= now;
    const lost = record.up;
    record.up = false;
    if (lost) onChange(directory, false);
  };

  for (const { location, state } of channel.directories()) {
    if (state === 'up') up(formatLocation(location));
  }
  channel.on('directory-up', onUp);
  channel.on('directory-down', onDown);

  return {
    of(directory) {
      const { up: isUp, since, sessions, losses, upBeforeMs } = recordOf(directory);
      const nowUpMs = isUp && since !== undefined ? clock.now() - since : 0;
      return { since, sessions, losses, upForMs: upBeforeMs + nowUpMs };
    },
    close() {
      channel.off('directory-up', onUp);
      channel.off('directory-down', onDown);
    },
  };
}
