/** The new process's side of an upgrade: receives the parcels, and takes over when told to. */
import type { SendHandle } from 'node:child_process';
import {
  HANDOVER_FORMAT,
  HANDOVER_VARIABLE,
  READABLE_FORMATS,
  parseOldMessage,
  type NewMessage,
  type OldMessage,
} from './message.js';
import { isNativeHandle, upgradeFault, type NativeHandle } from '../platform/native-socket.js';
import { ReceivedParcel } from './sockets.js';
import { HandoverError, type Parcel, type Parcels } from '../kit/movable.js';

/** The received parcels, and the functions to take over. */
export interface Inheritance {
  readonly parcels: Parcels;
  /**
   * Reports that everything is built, and waits for the commit of the old process. When it resolves,
   * the old process has released everything, and `begin` is called at once.
   * @param late receives what arrived at the old process meanwhile
   */
  takeOver(begin: () => void, late: (parcel: Parcel) => void): Promise<void>;
  /** Tells the old process why the takeover failed; the old process continues. */
  fail(why: string): Promise<void>;
}

function send(message: NewMessage, handle?: NativeHandle): Promise<void> {
  return new Promise((resolve, reject) => {
    if (process.send === undefined) {
      reject(new HandoverError('the old program is gone'));
      return;
    }
    // Node accepts handles of this kind too; its types name only what is made of them.
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- see above
    const sendable = handle as unknown as SendHandle;
    process.send(message, sendable, {}, (error: Error | null) => {
      if (error === null) resolve();
      else reject(error);
    });
  });
}

/** Whether this process was started to replace another one. */
export function isSuccessor(): boolean {
  return process.env[HANDOVER_VARIABLE] !== undefined && process.send !== undefined;
}

/** Tells the old process, if there is one, why this one cannot start. Never rejects. */
export async function declineInheritance(why: string): Promise<void> {
  if (isSuccessor()) await send({ say: 'failed', why }).catch(() => {});
}

/** The old process has sent everything and ends. */
function part(message: OldMessage): void {
  if (message.say === 'bye' && process.connected) process.disconnect();
}

/**
 * Receives all parcels. Called once, only when `isSuccessor`. Rejects with a HandoverError when the old
 * process ends or uses another format.
 * @param version the version of this program
 */
export async function receiveInheritance(version: string): Promise<Inheritance> {
  // Programs started by this process are not successors.
  Reflect.deleteProperty(process.env, HANDOVER_VARIABLE);
  const parcels = new Map<string, ReceivedParcel>();
  let step: ((message: OldMessage) => void) | undefined;
  let gone: ((error: HandoverError) => void) | undefined;
  let committed = false;
  let takeLate: ((parcel: Parcel) => void) | undefined;

  const onDisconnect = (): void => gone?.(new HandoverError('the old program went away'));
  process.once('disconnect', onDisconnect);

  function onParcel(parcel: ReceivedParcel): void {
    if (takeLate) takeLate(parcel);
    else parcels.set(parcel.key, parcel);
  }

  process.on('message', (raw: unknown, sent: unknown) => {
    const parsed = parseOldMessage(raw);
    if (!parsed.ok) return;
    const message = parsed.value;
    const handle = isNativeHandle(sent) ? sent : undefined;
    switch (message.say) {
      case 'parcel':
        onParcel(new ReceivedParcel(message.key, message.value, handle, message.stream));
        break;
      case 'withdraw':
        parcels.get(message.key)?.close();
        parcels.delete(message.key);
        break;
      case 'echo':
        send({ say: 'echo', key: message.key }, parcels.get(message.key)?.handle).catch(() => {});
        break;
      case 'begin':
      case 'end':
      case 'commit':
      case 'bye':
        step?.(message);
        break;
    }
  });

  /** Resolves with the first message of that kind. */
  function heard<S extends OldMessage['say']>(say: S): Promise<OldMessage & { say: S }> {
    return new Promise((resolve, reject) => {
      gone = reject;
      step = (message) => {
        if (isOf(message, say)) resolve(message);
      };
    });
  }

  const begun = heard('begin');
  await send({ say: 'hello', version });
  const { format } = await begun;
  const refusal =
    upgradeFault(process.versions.node) ??
    (READABLE_FORMATS.includes(format)
      ? undefined
      : `the old program hands over in format ${format}, this one reads ${HANDOVER_FORMAT}: restart instead`);
  if (refusal !== undefined) {
    await send({ say: 'failed', why: refusal });
    throw new HandoverError(refusal);
  }
  await heard('end');

  return {
    parcels,
    async takeOver(start, late) {
      const commit = heard('commit');
      await send({ say: 'ready' });
      await commit;
      committed = true;
      takeLate = late;
      process.off('disconnect', onDisconnect);
      // Before anything is read or written: once the old process has received this, it never continues.
      const told = send({ say: 'taken' });
      start();
      step = part;
      await told;
    },
    async fail(why) {
      if (!committed) await send({ say: 'failed', why }).catch(() => {});
    },
  };
}

function isOf<S extends OldMessage['say']>(
  message: OldMessage,
  say: S,
): message is OldMessage & { say: S } {
  return message.say === say;
}
