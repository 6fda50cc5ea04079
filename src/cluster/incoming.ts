/** What a node does with the records of the others. */
import type { LocalSide } from '../directory/neighbours.js';
import type { Clock } from '../kit/clock.js';
import { parseDeclaredLocation } from '../protocol/location.js';
import { parseRoute } from '../protocol/message.js';
import type { Caps } from './caps.js';
import type { Claims } from './claims.js';
import type { Conflicts } from './conflicts.js';
import type { Copies } from './copies.js';
import type { ClusterTally } from './counters.js';
import type { Beat } from './heartbeat.js';
import type { Received } from './inbox.js';
import type { OwnPeers } from './own-peers.js';
import type { Places } from './places.js';
import type { Privates } from './privates.js';
import type { ClusterRecord, Entry } from './record.js';
import type { RemoteView } from './remote-view.js';
import type { SnapshotReceiver, SnapshotSender } from './snapshots.js';

export interface IncomingOptions {
  readonly clock: Clock;
  readonly tally: ClusterTally;
  readonly own: OwnPeers;
  readonly view: RemoteView;
  readonly copies: Copies;
  readonly privates: Privates;
  readonly claims: Claims;
  readonly conflicts: Conflicts;
  readonly places: Places;
  readonly caps: Caps;
  readonly sender: SnapshotSender;
  readonly receiver: SnapshotReceiver;
  readonly local: () => LocalSide | undefined;
  /** Whether a node may speak for a peer. */
  readonly maySpeak: (node: string, nick: string) => boolean;
  readonly send: (to: string, record: ClusterRecord) => void;
  readonly onBeat: (node: string, beat: Beat) => void;
  readonly onBye: (node: string) => void;
}

export class Incoming {
  readonly #options: IncomingOptions;

  constructor(options: IncomingOptions) {
    this.#options = options;
  }

  receive({ node, isNewLife, records }: Received): void {
    const { receiver, places, caps } = this.#options;
    if (isNewLife) {
      receiver.forget(node);
      receiver.want(node);
      places.forget(node);
    }
    for (const record of records) if (caps.take(node, record)) this.#record(node, record);
  }

  #record(node: string, record: ClusterRecord): void {
    const { receiver, sender, view, privates, claims, conflicts, places, local } = this.#options;
    switch (record.type) {
      case 'beat':
        this.#options.onBeat(node, record);
        break;
      case 'bye':
        this.#options.onBye(node);
        break;
      case 'join':
        this.#join(node, record.entry);
        break;
      case 'leave':
        receiver.changed(node, record.nick, undefined);
        view.delete(node, record.nick);
        break;
      case 'public':
        this.#onPublic(node, record.payload);
        break;
      case 'private':
        privates.receive(node, record.payload);
        break;
      case 'undelivered':
        privates.undelivered(node, record);
        break;
      case 'want':
        sender.start(node, record.id);
        break;
      case 'chunk':
        receiver.chunk(node, record);
        break;
      case 'claim':
        this.#onClaim(node, record);
        break;
      case 'unclaim':
        local()?.unclaimed(node, record.nick);
        break;
      case 'answer':
        claims.answered(node, record.nick, record.granted);
        break;
      case 'yield':
        conflicts.yielded(node, record.nick);
        break;
      case 'probe':
        if (view.has(node, record.nick)) local()?.probe(record.nick);
        break;
      case 'reserve':
        places.reserve(node, record.clock, record.isShort);
        break;
      case 'reserved':
        places.reserved(node, record.clock, record.held);
        break;
      case 'ask':
      case 'prove':
        // See `inbox.ts`.
        break;
    }
  }

  #join(node: string, entry: Entry): void {
    const { clock, tally, receiver, view, copies } = this.#options;
    receiver.changed(node, entry.nick, entry);
    if (!view.has(node, entry.nick)) copies.fresh(entry.nick, node);
    if (!view.set(node, entry, clock.now())) tally.dropped.record++;
  }

  #onPublic(node: string, payload: string): void {
    const { tally, own, copies, local, maySpeak } = this.#options;
    const route = parseRoute(payload);
    if (!route.ok || route.value.to !== undefined) {
      tally.dropped.record++;
      return;
    }
    const { from } = route.value;
    if (!maySpeak(node, from)) return;
    if (own.get(from)) copies.relayed(from, payload);
    local()?.publish(from, payload);
  }

  #onClaim(node: string, claim: Extract<ClusterRecord, { readonly type: 'claim' }>): void {
    const { send, local: localOf } = this.#options;
    const local = localOf();
    const { nick } = claim;
    const location = parseDeclaredLocation(claim.location);
    if (!local?.has(nick)) {
      send(node, { type: 'answer', nick, granted: true });
    } else if (!location.ok) {
      send(node, { type: 'answer', nick, granted: false });
    } else {
      local.claimed(node, { nick, location: location.value, provenKey: claim.key });
    }
  }
}
