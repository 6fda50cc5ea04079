/**
 * The deliveries that are due. Every message of an honest peer is recorded once for each honest peer that
 * must get it, and crossed out when it arrives there.
 */

/** `leave` is the report that a peer left. */
export type DeliveryKind = 'public' | 'private' | 'leave';
export const DELIVERY_KINDS: readonly DeliveryKind[] = ['public', 'private', 'leave'];

export interface Tally {
  /** Deliveries that were due. */
  due: number;
  delivered: number;
  /** Not delivered within `lostAfterMs`. */
  lost: number;
  /** Delivered again. */
  doubled: number;
  /** Delivered although no such message was sent to this receiver. */
  stray: number;
  /** Milliseconds from sending to arrival. */
  latencies: number[];
}

export interface Ledger {
  expect(kind: DeliveryKind, receiver: string, id: string, sender: string): void;
  /** `isUnsettled`: the receiver has just come or is leaving, so an unexpected message is no fault. */
  arrived(kind: DeliveryKind, receiver: string, id: string, isUnsettled: boolean): void;
  /** Deliveries still due to or from a peer. */
  open(nick: string): number;
  readonly openTotal: number;
  /** Counts overdue deliveries as lost. To be called every second or so. */
  sweep(): void;
  /** The counts since the last call, or since the start. */
  take(): Readonly<Record<DeliveryKind, Tally>>;
}

/** Lost deliveries that are kept. */
const MAX_GIVEN_UP = 100_000;

interface Due {
  readonly kind: DeliveryKind;
  readonly sentAt: number;
  readonly receiver: string;
  readonly sender: string;
}

function noTally(): Tally {
  return { due: 0, delivered: 0, lost: 0, doubled: 0, stray: 0, latencies: [] };
}

const noTallies = (): Record<DeliveryKind, Tally> => ({
  public: noTally(),
  private: noTally(),
  leave: noTally(),
});

export function createLedger(lostAfterMs: number, now: () => number): Ledger {
  /** In order of time. */
  const due = new Map<string, Due>();
  const openOf = new Map<string, number>();
  /** Counted as lost; a later arrival is neither a copy nor a stray. */
  let givenUp = new Set<string>();
  /** Recent arrivals, in two generations: memory is bounded, and a copy is detected for a minute. */
  let lately = new Set<string>();
  let before = new Set<string>();
  let turnedAt = now();
  let tallies = noTallies();

  function count(nick: string, change: number): void {
    const open = (openOf.get(nick) ?? 0) + change;
    if (open === 0) openOf.delete(nick);
    else openOf.set(nick, open);
  }

  function close(key: string, entry: Due): void {
    due.delete(key);
    count(entry.receiver, -1);
    count(entry.sender, -1);
  }

  return {
    expect(kind, receiver, id, sender) {
      due.set(`${kind} ${receiver} ${id}`, { kind, sentAt: now(), receiver, sender });
      count(receiver, 1);
      count(sender, 1);
      tallies[kind].due++;
    },
    arrived(kind, receiver, id, isUnsettled) {
      const key = `${kind} ${receiver} ${id}`;
      const tally = tallies[kind];
      const entry = due.get(key);
      if (entry) {
        close(key, entry);
        tally.delivered++;
        tally.latencies.push(now() - entry.sentAt);
      } else if (givenUp.delete(key)) {
        return;
      } else if (lately.has(key) || before.has(key)) {
        tally.doubled++;
      } else if (!isUnsettled) {
        tally.stray++;
      }
      lately.add(key);
    },
    open: (nick) => openOf.get(nick) ?? 0,
    get openTotal() {
      return due.size;
    },
    sweep() {
      const time = now();
      for (const [key, entry] of due) {
        if (time - entry.sentAt < lostAfterMs) break;
        close(key, entry);
        givenUp.add(key);
        tallies[entry.kind].lost++;
      }
      if (time - turnedAt < 60_000) return;
      turnedAt = time;
      before = lately;
      lately = new Set();
      if (givenUp.size > MAX_GIVEN_UP) givenUp = new Set();
    },
    take() {
      const taken = tallies;
      tallies = noTallies();
      return taken;
    },
  };
}
