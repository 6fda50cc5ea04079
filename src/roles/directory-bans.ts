/** The bans of a directory for the process that continues it. A ban that cannot be read is left out. */
import { MAX_BAN_MS, MAX_BANS, type Ban } from '../directory/entry/bans.js';
import type { Movable, Parcels } from '../kit/movable.js';
import { isRecord } from '../kit/json-record.js';
import { isLocationKind } from '../protocol/location.js';

const BANS = 'bans';
const MAX_NAME_CHARS = 128;

function banOf(value: unknown): readonly Ban[] {
  if (!isRecord(value)) return [];
  const { kind, name, leftMs } = value;
  if (typeof kind !== 'string' || (kind !== 'nick' && !isLocationKind(kind))) return [];
  if (typeof name !== 'string' || name.length > MAX_NAME_CHARS) return [];
  if (typeof leftMs !== 'number' || !(leftMs > 0 && leftMs <= MAX_BAN_MS)) return [];
  return [{ kind, name, leftMs }];
}

/** The bans of the previous process; empty without one. Never throws. */
export function bansIn(parcels: Parcels | undefined): readonly Ban[] {
  const value = parcels?.get(BANS)?.value;
  return Array.isArray(value) ? value.slice(0, MAX_BANS).flatMap(banOf) : [];
}

/** The parcel for the next process. */
export function moveBans(read: () => readonly Ban[]): Movable {
  return { hold: () => Promise.resolve([{ key: BANS, value: read() }]), release() {} };
}
