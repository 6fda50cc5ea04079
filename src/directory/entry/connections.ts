/**
 * The life of a connection in a directory: taken over, read line by line, and freed in one place. Other
 * parts interpret the lines.
 */
import type { Log } from '../../channel/log.js';
import type { Clock, Connection } from '../../channel/ports.js';
import { decodeEnvelope } from '../../protocol/envelope.js';
import { isProxyLine } from '../../protocol/proxy-line.js';
import type { Admission } from './admission.js';
import type { Budgets } from '../relay/budgets.js';
import type { Circuit, Circuits } from './circuits.js';
import type { DialBack } from './dial-back.js';
import type { GateKeeper } from './gate.js';
import type { Fanout } from '../fanout/fanout.js';
import type { DirectoryLimits } from '../limits.js';
import type { NickProofs } from './nick-proofs.js';
import { createPeer, type Peer, type PeerState } from '../peer.js';
import type { Peerlists } from '../fanout/peerlists.js';
import type { NickClaims } from './nick-claims.js';
import type { PlaceQueue } from './place-queue.js';
import type { Neighbours } from '../neighbours.js';
import type { RemoteClaims } from './remote-claims.js';
import type { Registry } from '../registry.js';
import type { Relay } from '../relay/relay.js';
import type { CloseReason, Tally } from '../stats.js';
import type { SweepTimer } from './sweep-timer.js';

/** Interval at which refused connections are checked during a handover. */
const REFUSED_LOOK_MS = 50;
/** How long a peer may take to read its queue when the directory stops. */
const CLOSE_GRACE_MS = 1_500;
/** How long a peer that lost its nick may take to read that. */
const DISMISS_GRACE_MS = 5_000;
/** When the directory stops, connections that are still open after this time are destroyed. */
const CLOSE_LIMIT_MS = 2_500;

export interface ConnectionsOptions {
  readonly limits: DirectoryLimits;
  readonly clock: Clock;
  readonly log: Log;
  readonly tally: Tally;
  readonly registry: Registry;
  readonly fanout: Fanout;
  readonly peerlists: Peerlists;
  readonly budgets: Budgets;
  readonly circuits: Circuits;
  readonly dialBack: DialBack | undefined;
  readonly admission: Admission;
  readonly gateKeeper: GateKeeper | undefined;
  readonly relay: Relay;
  readonly proofs: NickProofs;
  readonly nickClaims: NickClaims;
  readonly remoteClaims: RemoteClaims;
  readonly placeQueue: PlaceQueue;
  readonly neighbours: Neighbours | undefined;
  readonly sweepTimer: SweepTimer;
  /** Nicks of the canary, whose leaves are not announced. */
  readonly ownNicks: ReadonlySet<string>;
}

/** Whether its lines are still read. */
function isReading({ state }: Peer): boolean {
  return state !== 'ending' && state !== 'gone';
}

export class Connections {
  readonly #options: ConnectionsOptions;
  #accepting = true;
  #onEmpty: (() => void) | undefined;

  constructor(options: ConnectionsOptions) {
    this.#options = options;
  }

  /** Takes over a new connection, in the turn in which the overlay handed it over. */
  accept(connection: Connection): void {
    const { clock, fanout, admission, tally } = this.#options;
    if (!this.#accepting) {
      connection.destroy();
      return;
    }
    tally.connectionsAccepted++;
    const circuit = this.#enterCircuit(connection);
    if (circuit === 'full') return;
    const peer = createPeer(connection, fanout.outboxes.open(connection), circuit, clock.now());
    fanout.batch(() => {
      this.enter(peer);
      admission.arrived();
    });
  }

  /**
   * A new record: its connection is read from now on, and the record is freed when the connection ends.
   */
  enter(peer: Peer): void {
    this.take(peer);
    this.watch();
  }

  /** From now on timeouts apply, if there are connections. */
  watch(): void {
    const { registry, sweepTimer } = this.#options;
    if (registry.connectionCount > 0) sweepTimer.start();
  }

  /** As `enter`, without timeouts before `watch`. */
  take(peer: Peer): void {
    const { fanout, registry } = this.#options;
    registry.add(peer);
    peer.connection.attach({
      data: (chunk) => fanout.batch(() => this.#onData(peer, chunk)),
      // A refused peer was counted when it was refused.
      closed: () =>
        fanout.batch(() =>
          this.#free(peer, peer.state === 'ending' ? undefined : 'closed-by-peer'),
        ),
    });
  }

  /** Ends a connection at once. */
  drop(peer: Peer, reason: CloseReason): void {
    const { log } = this.#options;
    // The reason is part of the text, so that a log that limits repeated lines counts each reason
    // separately.
    if (reason !== 'disconnect-message') log.info(`connection closed: ${reason}`);
    log.debug(`connection closed: ${reason}`, { remote: peer.connection.remote });
    this.#free(peer, reason);
    peer.connection.destroy();
  }

  /** Ends a ready peer after it has read what it still must receive, and a last line. */
  dismiss(peer: Peer, line: string, reason: CloseReason): void {
    const { log, registry, fanout, tally } = this.#options;
    const owed = fanout.outboxes.owed(peer.outbox);
    fanout.outboxes.close(peer.outbox);
    peer.connection.write(Buffer.concat([owed, Buffer.from(line, 'latin1')]));
    tally.bytesOut += owed.length + line.length;
    log.info(`connection closed: ${reason}`);
    registry.makeEnding(peer);
    tally.closed[reason]++;
    this.#tellOthers(peer, 'ready');
    if (registry.ready.length === 0) this.#clearReady();
    peer.connection.end(DISMISS_GRACE_MS);
  }

  /** From now on new connections are closed at once. */
  stopAccepting(): void {
    this.#accepting = false;
  }

  /** Resolves when refused connections have closed, or their time is over. */
  async refusedGone(): Promise<void> {
    const { clock, registry } = this.#options;
    const until = clock.now() + CLOSE_LIMIT_MS;
    while (registry.ending.size > 0 && clock.now() < until) {
      // oxlint-disable-next-line no-await-in-loop -- looked for in turns
      await new Promise<void>((resolve) => void clock.after(REFUSED_LOOK_MS, resolve));
    }
  }

  /** Stops accepting, flushes, closes every connection. Resolves within `CLOSE_LIMIT_MS`. */
  async close(): Promise<void> {
    const { clock, registry } = this.#options;
    this.#accepting = false;
    this.#endAll();
    if (registry.connectionCount === 0) return;
    await new Promise<void>((resolve) => {
      const cancelLimit = clock.after(CLOSE_LIMIT_MS, () => this.#cutOff());
      this.#onEmpty = () => {
        cancelLimit();
        resolve();
      };
    });
  }

  /** The only place where the record of a connection is freed. */
  #free(peer: Peer, reason: CloseReason | undefined): void {
    const { clock, registry, fanout, circuits, gateKeeper, tally } = this.#options;
    const was = peer.state;
    if (!registry.remove(peer)) return;
    fanout.outboxes.close(peer.outbox);
    if (peer.circuit) circuits.leave(peer.circuit, clock.now());
    if (reason) tally.closed[reason]++;
    this.#tellOthers(peer, was);
    gateKeeper?.gone(peer);
    if (registry.ready.length === 0) this.#clearReady();
    if (registry.connectionCount === 0) this.#clearAll();
  }

  #tellOthers(peer: Peer, was: PeerState): void {
    const { budgets, proofs, nickClaims, remoteClaims, placeQueue } = this.#options;
    placeQueue.newcomerGone(peer);
    if (was === 'ready') {
      budgets.forget(peer);
      this.#announceLeave(peer);
      if (peer.claimed) nickClaims.holderGone(peer);
    } else if (was === 'waiting') {
      nickClaims.newcomerGone(peer);
      remoteClaims.newcomerGone(peer);
    } else if (was === 'proving') {
      proofs.gone(peer);
    }
  }

  /** Unless it is still connected to another node. */
  #announceLeave(peer: Peer): void {
    const { fanout, neighbours, ownNicks } = this.#options;
    if (ownNicks.has(peer.nick) || neighbours?.left(peer.nick) === true) return;
    fanout.announceLeave(peer);
  }

  #clearReady(): void {
    const { fanout, peerlists, budgets } = this.#options;
    budgets.clear();
    fanout.clear();
    peerlists.clear();
  }

  #clearAll(): void {
    const { circuits, dialBack, proofs, sweepTimer } = this.#options;
    dialBack?.clear();
    proofs.clear();
    circuits.clear();
    sweepTimer.stop();
    this.#onEmpty?.();
  }

  #onData(peer: Peer, chunk: Uint8Array): void {
    if (!isReading(peer)) return;
    this.#options.tally.bytesIn += chunk.length;
    const now = this.#options.clock.now();
    const fits = peer.framer.push(chunk, (line) => this.#onLine(peer, line, now));
    if (!fits) this.drop(peer, 'oversize');
  }

  /** Returns false when no more lines of this peer are read. */
  #onLine(peer: Peer, line: Uint8Array, now: number): boolean {
    const { admission, relay, nickClaims, tally } = this.#options;
    if (peer.state === 'waiting' || peer.state === 'gated') {
      tally.dropped['before-handshake']++;
      return true;
    }
    peer.heardAt = now;
    if (peer.state === 'proving') return this.#onProvingLine(peer, line);
    peer.pingedAt = undefined;
    if (peer.claimed) nickClaims.holderAlive(peer);
    if (!isReading(peer)) return false;
    if (peer.state === 'ready') peer.linesIn++;
    const envelope = decodeEnvelope(line);
    if (envelope.ok) {
      if (peer.state === 'ready') relay.line(peer, envelope.value);
      else admission.handshake(peer, envelope.value);
    } else if (envelope.reason === 'not-utf8') {
      this.drop(peer, 'not-utf8');
    } else if (peer.state === 'ready') {
      relay.malformed(peer);
    } else if (isProxyLine(line)) {
      this.drop(peer, 'proxy-line');
    } else {
      this.drop(peer, 'not-a-handshake');
    }
    return isReading(peer);
  }

  #onProvingLine(peer: Peer, line: Uint8Array): boolean {
    const envelope = decodeEnvelope(line);
    if (!envelope.ok && envelope.reason === 'not-utf8') this.drop(peer, 'not-utf8');
    else this.#options.proofs.line(peer, envelope.ok ? envelope.value : undefined);
    return isReading(peer);
  }

  /** The circuit of a new connection, if known; `full` ends the connection. */
  #enterCircuit(connection: Connection): Circuit | 'full' | undefined {
    const { circuits, limits, tally } = this.#options;
    if (connection.circuit === undefined) return undefined;
    const circuit = circuits.enter(connection.circuit, limits.streamsPerCircuit);
    if (circuit === 'full') {
      tally.closed['circuit-streams']++;
      connection.attach({ data() {}, closed() {} });
      connection.destroy();
    }
    return circuit;
  }

  /** Flushes once more, then ends every connection. */
  #endAll(): void {
    const { registry, fanout, dialBack, proofs, nickClaims, remoteClaims, placeQueue, tally } =
      this.#options;
    fanout.flush();
    for (const peer of [...registry.ready, ...registry.unhandshaked]) {
      registry.makeEnding(peer);
      fanout.outboxes.close(peer.outbox);
      tally.closed.shutdown++;
      peer.connection.end(CLOSE_GRACE_MS);
    }
    nickClaims.clear();
    remoteClaims.clear();
    placeQueue.clear();
    proofs.clear();
    dialBack?.clear();
    this.#clearReady();
  }

  #cutOff(): void {
    for (const peer of this.#options.registry.ending) {
      this.#free(peer, undefined);
      peer.connection.destroy();
    }
  }
}
