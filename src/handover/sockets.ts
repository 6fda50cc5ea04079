/** Stops the parts of a program, and moves their sockets between two processes. */
import type { Socket } from 'node:net';
import type { Movable, Parcel } from '../kit/movable.js';
import {
  handleOf,
  socketOver,
  startReading,
  stopReading,
  type NativeHandle,
} from '../platform/native-socket.js';

export { startReading, stopReading };

/** A part that was stopped. No process reads its streams. */
export interface HeldPart {
  readonly parcels: readonly Parcel[];
  /** Continues in this process. */
  release(): void;
}

/** Stops a part. Rejects as `Movable.hold` does. */
export async function holdPart(part: Movable): Promise<HeldPart> {
  const parcels = await part.hold();
  stopAll(parcels);
  return {
    parcels,
    release() {
      part.release();
      for (const { stream } of parcels) startReading(stream);
    },
  };
}

/** Stops the reading of the streams of these parcels. */
export function stopAll(parcels: readonly Parcel[]): void {
  for (const { stream } of parcels) stopReading(stream);
}

/** The handle that is sent with a parcel; undefined when its socket is closed, or when it has no socket. */
export function handleIn({ stream, listener }: Parcel): NativeHandle | undefined {
  return handleOf(stream ?? listener);
}

/** Bytes that libuv has and the kernel has not: libuv continues to write them, held or not. */
export function pendingBytes(socket: Socket): number {
  return handleOf(socket)?.writeQueueSize ?? 0;
}

/** A parcel that arrived. The handle of a connection becomes a socket at once. */
export class ReceivedParcel implements Parcel {
  readonly key: string;
  readonly value: unknown;
  readonly handle: NativeHandle | undefined;
  #stream: Socket | undefined;

  constructor(key: string, value: unknown, handle: NativeHandle | undefined, isStream: boolean) {
    this.key = key;
    this.value = value;
    this.handle = handle;
    // Most connections arrive while the other process still serves, so peers do not wait for this.
    if (isStream && handle !== undefined) this.#stream = socketOver(handle);
  }

  get stream(): Socket | undefined {
    if (this.handle !== undefined) this.#stream ??= socketOver(this.handle);
    return this.#stream;
  }

  get listener(): object | undefined {
    return this.handle;
  }

  /** Closes it in this process. The connection stays open while another process has it. */
  close(): void {
    if (this.#stream === undefined) this.handle?.close();
    else this.#stream.destroy();
  }
}
