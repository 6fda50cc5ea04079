/** Stops the parts of a program, and moves their sockets between two processes. */
import type { Socket } from 'node:net';
import { errorText } from '../kit/error-text.js';
import { HandoverError, type Movable, type Parcel } from '../kit/movable.js';
import {
  handleOf,
  socketOfDescriptor,
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

/** A parcel that arrived. */
export class ReceivedParcel implements Parcel {
  readonly key: string;
  readonly value: unknown;
  readonly handle: NativeHandle | undefined;
  #stream: Socket | undefined;

  /** A connection that this process got at its start. Throws a HandoverError if it is not open. */
  static carried(key: string, fd: number): ReceivedParcel {
    try {
      const stream = socketOfDescriptor(fd);
      return new ReceivedParcel(key, null, handleOf(stream), stream);
    } catch (error) {
      throw new HandoverError(`descriptor ${fd} is not a connection: ${errorText(error)}`);
    }
  }

  constructor(key: string, value: unknown, handle: NativeHandle | undefined, stream?: Socket) {
    this.key = key;
    this.value = value;
    this.handle = handle;
    this.#stream = stream;
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
