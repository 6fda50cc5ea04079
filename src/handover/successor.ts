/** The new process's side of an upgrade: receives the parcels, and takes over when told to. */
import type { SendHandle } from 'node:child_process';
import { errorText } from '../kit/error-text.js';
import { HandoverError, type Parcel, type Parcels } from '../kit/movable.js';
import { isNativeHandle, upgradeFault, type NativeHandle } from '../platform/native-socket.js';
import {
  FIRST_CARRIED,
  FIRST_FORMAT,
  HANDOVER_FORMAT,
  HANDOVER_VARIABLE,
  READABLE_FORMATS,
  parseOldMessage,
  type NewMessage,
  type OldMessage,
} from './message.js';
import { ReceivedParcel } from './sockets.js';

/** Gets the parcels that arrive while the old process still serves, to prepare what it can. */
export interface ParcelReader {
  /**
   * Called for each parcel; returns whether it was read, so that nothing else needs it. May throw: the
   * handover then fails with that error.
   */
  take(parcel: Parcel): boolean;
  /** The parcel is void, and its connection is closed. */
  withdraw(key: string): void;
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

/** Tells the old process, if there is one, that this one cannot start, and the reason. Never rejects. */
export async function declineInheritance(reason: string): Promise<void> {
  if (isSuccessor()) await send({ say: 'failed', why: reason }).catch(() => {});
}

/** The received parcels, and the steps up to the takeover. */
export class Inheritance {
  readonly #parcels = new Map<string, ReceivedParcel>();
  readonly #reader: ParcelReader | undefined;
  /** Gets the messages of the old process that are not parcels. */
  #step: ((message: OldMessage) => void) | undefined;
  #reject: ((error: unknown) => void) | undefined;
  /** The fault of the handover, before the old process asked for the next step. */
  #fault: unknown;
  #format = HANDOVER_FORMAT;
  #committed = false;
  /** The old process has sent everything. */
  #hasAll = false;
  #finished = false;
  #takeLate: ((parcel: Parcel) => void) | undefined;

  private constructor(reader: ParcelReader | undefined) {
    this.#reader = reader;
  }

  /**
   * Receives the parcels of the parts of the program. Called once, only when `isSuccessor`. Rejects with
   * a HandoverError when the old process ends or uses another format, or with the error of the reader.
   * @param version the version of this program
   */
  static async receive(version: string, reader?: ParcelReader): Promise<Inheritance> {
    // Programs started by this process are not successors.
    Reflect.deleteProperty(process.env, HANDOVER_VARIABLE);
    const inheritance = new Inheritance(reader);
    try {
      await inheritance.#greet(version);
      return inheritance;
    } catch (error) {
      await inheritance.fail(errorText(error));
      throw error;
    }
  }

  /** All parcels so far, by key; empty after the takeover. */
  get parcels(): Parcels {
    return this.#parcels;
  }

  /**
   * Reports that the parts are built, and receives the rest: the state at the moment when the old
   * process stops serving. Rejects as `receive` does.
   */
  async rest(): Promise<void> {
    if (this.#format === FIRST_FORMAT) return;
    await Promise.all([this.#heard('end'), send({ say: 'built' })]);
  }

  /**
   * Reports that everything is built, and waits for the commit of the old process. When it resolves,
   * the old process has released everything, and `begin` was called at once.
   * @param late receives what arrived at the old process meanwhile
   */
  async takeOver(begin: () => void, late: (parcel: Parcel) => void): Promise<void> {
    await Promise.all([this.#heard('commit'), send({ say: 'ready' })]);
    this.#committed = true;
    this.#takeLate = late;
    process.off('disconnect', this.#onDisconnect);
    // Before anything is read or written: once the old process has received this, it never continues.
    const told = send({ say: 'taken' });
    begin();
    // Otherwise the state of each peer would stay in memory.
    this.#parcels.clear();
    await told;
  }

  /** After the takeover: everything is in place, and the old process may end. */
  finish(): void {
    this.#finished = true;
    this.#disconnectWhenDone();
  }

  /** Reports to the old process that the takeover failed, and the reason; the old process continues. */
  async fail(reason: string): Promise<void> {
    if (!this.#committed) await send({ say: 'failed', why: reason }).catch(() => {});
  }

  async #greet(version: string): Promise<void> {
    process.once('disconnect', this.#onDisconnect);
    process.on('message', (raw: unknown, sent: unknown) => this.#onMessage(raw, sent));
    const [{ format }] = await Promise.all([this.#heard('begin'), send({ say: 'hello', version })]);
    this.#format = format;
    const refusal = upgradeFault(process.versions.node) ?? formatFault(format);
    if (refusal !== undefined) throw new HandoverError(refusal);
    await this.#heard(format === FIRST_FORMAT ? 'end' : 'build');
  }

  readonly #onDisconnect = (): void => this.#fail(new HandoverError('the old program went away'));

  /** Resolves with the next message of that kind. */
  #heard<S extends OldMessage['say']>(say: S): Promise<OldMessage & { say: S }> {
    return new Promise((resolve, reject) => {
      this.#step = (message) => {
        if (isOf(message, say)) resolve(message);
      };
      this.#reject = reject;
      if (this.#fault !== undefined) reject(this.#fault);
    });
  }

  #fail(error: unknown): void {
    this.#fault ??= error;
    this.#reject?.(this.#fault);
  }

  #onMessage(raw: unknown, sent: unknown): void {
    const parsed = parseOldMessage(raw);
    if (!parsed.ok) return;
    const message = parsed.value;
    switch (message.say) {
      case 'carried':
        for (const [i, key] of message.keys.entries()) {
          this.#take(() => ReceivedParcel.carried(key, FIRST_CARRIED + i));
        }
        break;
      case 'parcel': {
        const handle = isNativeHandle(sent) ? sent : undefined;
        this.#take(() => new ReceivedParcel(message.key, message.value, handle));
        break;
      }
      case 'withdraw':
        this.#parcels.get(message.key)?.close();
        this.#parcels.delete(message.key);
        this.#reader?.withdraw(message.key);
        break;
      case 'echo':
        send({ say: 'echo', key: message.key }, this.#parcels.get(message.key)?.handle).catch(
          () => {},
        );
        break;
      case 'bye':
        this.#hasAll = true;
        this.#disconnectWhenDone();
        break;
      case 'begin':
      case 'build':
      case 'end':
      case 'commit':
        this.#step?.(message);
        break;
    }
  }

  #disconnectWhenDone(): void {
    if (this.#hasAll && this.#finished && process.connected) process.disconnect();
  }

  #take(receive: () => ReceivedParcel): void {
    try {
      const parcel = receive();
      if (this.#takeLate) {
        this.#takeLate(parcel);
        return;
      }
      if (this.#reader?.take(parcel) !== true) this.#parcels.set(parcel.key, parcel);
    } catch (error) {
      this.#fail(error);
    }
  }
}

function isOf<S extends OldMessage['say']>(
  message: OldMessage,
  say: S,
): message is OldMessage & { say: S } {
  return message.say === say;
}

function formatFault(format: number): string | undefined {
  return READABLE_FORMATS.includes(format)
    ? undefined
    : `the old program hands over in format ${format}, this one reads ${HANDOVER_FORMAT}: restart instead`;
}
