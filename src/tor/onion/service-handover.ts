/** Hands an onion service over to another process, with the control connection that it depends on. */
import { pause } from '../../kit/pause.js';
import { recordOf } from '../../kit/json-record.js';
import { Socket } from 'node:net';
import type { Clock } from '../../channel/ports.js';
import { HandoverError, type Parcel, type Parcels } from '../../kit/movable.js';
import { parseOnionHost } from '../../protocol/location.js';
import { controlClientOver, type ControlClient } from '../control/client.js';

/** The key of the parcel that holds the control connection of the service. */
const SERVICE = 'onion-service';
/** Most tries, and their interval in milliseconds, to find the control connection idle. */
const HOLD_TRIES = 50;
const HOLD_RETRY_MS = 20;
const PRIVATE_KEY = /^ED25519-V3:[A-Za-z\d+/]{86}==$/;

export interface InheritedService {
  /** Held, as after `ControlClient.hold`. */
  readonly client: ControlClient;
  readonly host: string;
  readonly privateKey: string | undefined;
}

/** The service of another process. Throws a HandoverError when the parcel is missing or invalid. */
export function inheritedService(parcels: Parcels): InheritedService {
  const { value, stream } = parcels.get(SERVICE) ?? {};
  const { host, privateKey }: Readonly<Record<string, unknown>> = recordOf(value);
  if (!(stream instanceof Socket) || typeof host !== 'string' || !parseOnionHost(host).ok) {
    throw new HandoverError('no onion service was handed over');
  }
  return {
    client: controlClientOver(stream, 'Tor', true),
    host,
    privateKey:
      typeof privateKey === 'string' && PRIVATE_KEY.test(privateKey) ? privateKey : undefined,
  };
}

export interface HoldOptions {
  /** The service; undefined while peers cannot reach it. */
  readonly current: () => { readonly client: ControlClient; readonly host: string } | undefined;
  /** Only this process has it. */
  readonly privateKey: () => string | undefined;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** Holds the control connection as soon as it is idle. Rejects with a HandoverError. */
export async function holdService(options: HoldOptions): Promise<readonly Parcel[]> {
  const { current, privateKey, clock, signal } = options;
  for (let tries = 0; tries < HOLD_TRIES; tries++) {
    const service = current();
    if (service === undefined) {
      throw new HandoverError('the onion is not reachable now; try again when it is');
    }
    const { client, host } = service;
    const stream = client.hold();
    if (stream !== undefined) {
      return [{ key: SERVICE, value: { host, privateKey: privateKey() }, stream }];
    }
    // oxlint-disable-next-line no-await-in-loop -- each try needs the one before
    await pause(clock, HOLD_RETRY_MS, signal);
  }
  throw new HandoverError('the control connection to Tor is busy; try again');
}
