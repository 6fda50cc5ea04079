/**
 * Peers that count: each broadcast and each private message has the number of its sender's previous one plus
 * one, and each receiver checks that.
 */
import t from 'tap';
import { joinMany, nickOf, type Mass } from '../directory/many.js';

/** Counts of faults; all zero when each message came once, in order, and no peer was disconnected. */
export interface Losses {
  disconnected: number;
  lost: number;
  doubledOrReordered: number;
  /** Lines that are not lines of the protocol. */
  garbled: number;
}

export interface Crowd {
  readonly peers: readonly Mass[];
  readonly losses: Losses;
  /** Messages sent, and deliveries counted. */
  readonly counts: { sent: number; received: number };
  /** One more public message of that peer; `fill` makes it longer. */
  publish(peer: number, fill?: number): void;
  /** One more private message of that peer to its neighbour. */
  whisper(peer: number): void;
  /** The text of the next public message of that peer, for a test that sends it by hand. */
  next(peer: number): string;
  /** Resolves when every peer has received all messages sent to it until now. */
  complete(): Promise<void>;
  end(): void;
}

const LINE =
  /^\{"type": (685|687), "line": "([^!"]+)!(PUBLIC|J5\w{14})!(?:!?)(?:say|fill) (\d+)[ \w]*"\}$/;
const PEERLIST = /^\{"type": 789, /;

/** @param size at least 2 */
export async function gather(port: number, size: number): Promise<Crowd> {
  const losses: Losses = { disconnected: 0, lost: 0, doubledOrReordered: 0, garbled: 0 };
  const counts = { sent: 0, received: 0 };
  const said = {
    public: Array.from({ length: size }, () => 0),
    private: Array.from({ length: size }, () => 0),
  };
  /** By receiver, then by sender: the last number heard. */
  const heard = Array.from({ length: size }, () => new Int32Array(size));
  const whispered = new Int32Array(size);
  const numbers = new Map<string, number>();
  let ending = false;
  let wake: (() => void) | undefined;

  function check(before: number, now: number): void {
    if (now === before + 1) return;
    if (now > before) losses.lost += now - before - 1;
    else losses.doubledOrReordered++;
  }

  function onLine(line: Buffer, { nick }: Mass): void {
    const text = line.toString('latin1');
    const match = LINE.exec(text);
    const receiver = numbers.get(nick) ?? -1;
    if (match === null) {
      if (!PEERLIST.test(text)) losses.garbled++;
      return;
    }
    const [, type, from = '', , digits] = match;
    const sender = numbers.get(from) ?? -1;
    const number = Number(digits);
    const row = heard[receiver];
    counts.received++;
    if (row === undefined || sender < 0) losses.garbled++;
    else if (type === '687') {
      check(row[sender] ?? 0, number);
      row[sender] = number;
    } else {
      check(whispered[receiver] ?? 0, number);
      whispered[receiver] = number;
    }
    wake?.();
  }

  const peers: Mass[] = [];
  for (let i = 0; i < size; i++) {
    const nick = nickOf('crowd', i);
    numbers.set(nick, i);
    peers.push(joinMany(port, nick, onLine));
  }
  const accepted = await Promise.all(peers.map((peer) => peer.accepted));
  t.ok(
    accepted.every((yes) => yes),
    'all are accepted',
  );
  for (const peer of peers) {
    peer.socket.once('close', () => {
      if (!ending) losses.disconnected++;
    });
  }

  function isComplete(): boolean {
    return heard.every(
      (row, receiver) =>
        whispered[receiver] === said.private[(receiver + size - 1) % size] &&
        row.every((number, sender) => sender === receiver || number === said.public[sender]),
    );
  }

  const nickAt = (i: number): string => peers[i]?.nick ?? '';
  function next(peer: number): string {
    counts.sent++;
    said.public[peer] = (said.public[peer] ?? 0) + 1;
    return `${nickAt(peer)}!PUBLIC!say ${said.public[peer]}`;
  }

  return {
    peers,
    losses,
    counts,
    next,
    publish(peer, fill = 0) {
      const text = next(peer);
      peers[peer]?.send(687, fill === 0 ? text : `${text} ${'x'.repeat(fill)}`);
    },
    whisper(peer) {
      counts.sent++;
      said.private[peer] = (said.private[peer] ?? 0) + 1;
      const to = nickAt((peer + 1) % size);
      peers[peer]?.send(685, `${nickAt(peer)}!${to}!fill ${said.private[peer]}`);
    },
    complete: () =>
      new Promise((resolve) => {
        // Checked at most once a turn, since the check looks at every pair.
        let due = false;
        const look = (): void => {
          due = false;
          if (!isComplete()) return;
          wake = undefined;
          resolve();
        };
        wake = () => {
          if (due) return;
          due = true;
          setTimeout(look, 50);
        };
        wake();
      }),
    end() {
      ending = true;
      for (const { socket } of peers) socket.destroy();
    },
  };
}
