/** A hand-driven peer on a connection of any overlay: lines out, lines in, and all that it ever learned. */
import type { Connection } from '../../src/channel/ports.js';
import { decodeEnvelope, encodeEnvelope } from '../../src/protocol/envelope.js';
import { createLineFramer } from '../../src/protocol/line-framer.js';
import { useFastCurves } from '../../src/roles/fast-curves.js';

// As the programs do; test/platform compares these curves with those in JavaScript.
useFastCurves();

export interface LinePeer {
  send(type: number, payload: string): void;
  /** The payload of the next line of this type that was not read yet. */
  next(type: number): Promise<string>;
  /** Everything that it received. */
  readonly heard: string;
  /** Resolves when the connection is over. */
  readonly over: Promise<void>;
  end(): void;
}

interface Line {
  readonly type: number;
  readonly payload: string;
}

/** Attaches to the connection, in this turn. */
export function linePeer(connection: Connection): LinePeer {
  const framer = createLineFramer();
  const unread: Line[] = [];
  let heard = '';
  let wake: (() => void) | undefined;
  let finish: (() => void) | undefined;
  let isOver = false;
  const over = new Promise<void>((resolve) => {
    finish = resolve;
  });
  connection.attach({
    data(chunk) {
      heard += Buffer.from(chunk).toString('latin1');
      framer.push(chunk, (line) => {
        const envelope = decodeEnvelope(line);
        if (!envelope.ok) throw new Error(`not an envelope: ${envelope.reason}`);
        unread.push({ type: envelope.value.type, payload: envelope.value.line });
        return true;
      });
      wake?.();
    },
    closed() {
      isOver = true;
      finish?.();
      wake?.();
    },
  });
  return {
    send: (type, payload) => connection.write(Buffer.from(encodeEnvelope(type, payload), 'latin1')),
    async next(type) {
      for (;;) {
        const at = unread.findIndex((line) => line.type === type);
        const [line] = at === -1 ? [] : unread.splice(at, 1);
        if (line) return line.payload;
        if (isOver) throw new Error(`the connection ended before a line of type ${type}`);
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    },
    get heard() {
      return heard;
    },
    over,
    end: () => connection.end(),
  };
}
