/**
 * Peers that number their messages: each broadcast and each private message has the number of its sender's
 * previous one plus one. Each receiver checks the numbers.
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

export interface CountingPeers {
  readonly peers: readonly Mass[];
  readonly losses: Losses;
  /** Messages sent, and deliveries counted. */
  readonly counts: { sent: number; received: number };
  /** Messages sent to that peer and not received yet: a load that stops above a bound suits a slow machine. */
  owedTo(peer: number): number;
  /** One more public message of that peer; `fill` makes it longer. */
  publish(peer: number, fill?: number): void;
  /** One more private message of that peer to its neighbour. */
  sendPrivate(peer: number): void;
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
export async function connectCountingPeers(port: number, size: number): Promise<CountingPeers> {
  const losses: Losses = { disconnected: 0, lost: 0, doubledOrReordered: 0, garbled: 0 };
  const counts = { sent: 0, received: 0 };
  const sent = {
    public: Array.from({ length: size }, () => 0),
    private: Array.from({ length: size }, () => 0),
  };
  /** By receiver, then by sender: the last number received. */
  const lastPublic = Array.from({ length: size }, () => new Int32Array(size));
  const lastPrivate = new Int32Array(size);
  const receivedBy = new Int32Array(size);
  let published = 0;
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
    const row = lastPublic[receiver];
    counts.received++;
    if (receiver >= 0) receivedBy[receiver] = (receivedBy[receiver] ?? 0) + 1;
    if (row === undefined || sender < 0) losses.garbled++;
    else if (type === '687') {
      check(row[sender] ?? 0, number);
      row[sender] = number;
    } else {
      check(lastPrivate[receiver] ?? 0, number);
      lastPrivate[receiver] = number;
    }
    wake?.();
  }

  const peers: Mass[] = [];
  for (let i = 0; i < size; i++) {
    const nick = nickOf('counting', i);
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
    return lastPublic.every(
      (row, receiver) =>
        lastPrivate[receiver] === sent.private[(receiver + size - 1) % size] &&
        row.every((number, sender) => sender === receiver || number === sent.public[sender]),
    );
  }

  const nickAt = (i: number): string => peers[i]?.nick ?? '';
  function next(peer: number): string {
    counts.sent++;
    published++;
    sent.public[peer] = (sent.public[peer] ?? 0) + 1;
    return `${nickAt(peer)}!PUBLIC!say ${sent.public[peer]}`;
  }

  return {
    peers,
    losses,
    counts,
    owedTo(peer) {
      const toAll = published - (sent.public[peer] ?? 0);
      const toIt = sent.private[(peer + size - 1) % size] ?? 0;
      return toAll + toIt - (receivedBy[peer] ?? 0);
    },
    next,
    publish(peer, fill = 0) {
      const text = next(peer);
      peers[peer]?.send(687, fill === 0 ? text : `${text} ${'x'.repeat(fill)}`);
    },
    sendPrivate(peer) {
      counts.sent++;
      sent.private[peer] = (sent.private[peer] ?? 0) + 1;
      const to = nickAt((peer + 1) % size);
      peers[peer]?.send(685, `${nickAt(peer)}!${to}!fill ${sent.private[peer]}`);
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
