/**
 * The life of a connection in a directory: taken over, read line by line, and freed in one place. What
 * a line means is for the parts that are given.
 */
import type { Log } from '../../channel/log.js';
import type { Clock, Connection } from '../../channel/ports.js';
import { decodeEnvelope } from '../../protocol/envelope.js';
import type { Admission } from './admission.js';
import type { Budgets } from '../relay/budgets.js';
import type { Circuit, Circuits } from './circuits.js';
import type { DialBack } from './dial-back.js';
import type { Directory } from '../directory-api.js';
import type { Fanout } from '../fanout/fanout.js';
import type { DirectoryLimits } from '../limits.js';
import type { NickProofs } from './nick-proofs.js';
import { createPeer, type Peer } from '../peer.js';
import type { Peerlists } from '../fanout/peerlists.js';
import type { Reclaims } from './reclaim.js';
import type { Registry } from '../registry.js';
import type { Relay } from '../relay/relay.js';
import type { CloseReason, Tally } from '../stats.js';
import type { Sweeper } from './sweeper.js';

/** How often refused connections are looked for while the rest has moved. */
const REFUSED_LOOK_MS = 50;
/** How long a peer may take to read the rest when the directory stops. */
const CLOSE_GRACE_MS = 1_500;
/** After this, connections that are still open when the directory stops are cut. */
const CLOSE_LIMIT_MS = 2_500;

export interface Connections extends Pick<
  Directory,
  'accept' | 'stopAccepting' | 'refusedGone' | 'close'
> {
  /** A fresh record: from now on it is read, and freed when its connection ends. */
  enter(peer: Peer): void;
  /** Ends a connection at once. Whoever calls settles the fan-out at the end of the turn. */
  drop(peer: Peer, reason: CloseReason): void;
}

export interface ConnectionsOptions {
  readonly limits: () => DirectoryLimits;
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
  readonly relay: Relay;
  readonly proofs: NickProofs;
  readonly reclaims: Reclaims;
  readonly sweeper: Sweeper;
  /** Of our own visitors, whose leaves are nobody's news. */
  readonly ownNicks: ReadonlySet<string>;
}

/** Whether what it says still matters. */
function isReading({ state }: Peer): boolean {
  return state !== 'ending' && state !== 'gone';
}

export function createConnections(options: ConnectionsOptions): Connections {
  const { limits, clock, log, tally, registry, fanout, peerlists, budgets, circuits } = options;
  const { dialBack, admission, relay, proofs, reclaims, sweeper, ownNicks } = options;
  let accepting = true;
  let onEmpty: (() => void) | undefined;

  /** The one place where a connection's record is freed. */
  function free(peer: Peer, reason: CloseReason | undefined): void {
    const was = peer.state;
    if (!registry.remove(peer)) return;
    fanout.outboxes.close(peer.outbox);
    if (peer.circuit) circuits.leave(peer.circuit, clock.now());
    if (reason) tally.closed[reason]++;
    if (was === 'ready') {
      budgets.forget(peer);
      if (!ownNicks.has(peer.nick)) fanout.announceLeave(peer);
      if (peer.claimed) reclaims.holderGone(peer);
    } else if (was === 'waiting') {
      reclaims.newcomerGone(peer);
    } else if (was === 'proving') {
      proofs.gone(peer);
    }
    if (registry.ready.length === 0) {
      budgets.clear();
      fanout.clear();
      peerlists.clear();
    }
    if (registry.connectionCount > 0) return;
    dialBack?.clear();
    proofs.clear();
    circuits.clear();
    sweeper.stop();
    onEmpty?.();
  }

  /** Ends a connection at once. Whoever calls settles the fan-out at the end of the turn. */
  function drop(peer: Peer, reason: CloseReason): void {
    // The reason in the text, so that a log which caps repeated lines counts each by itself.
    if (reason !== 'disconnect-message') log.info(`connection closed: ${reason}`);
    log.debug(`connection closed: ${reason}`, { remote: peer.connection.remote });
    free(peer, reason);
    peer.connection.destroy();
  }

  /** Returns false when nothing more of this peer is to be read. */
  function onLine(peer: Peer, line: Uint8Array, now: number): boolean {
    if (peer.state === 'waiting') {
      tally.dropped['before-handshake']++;
      return true;
    }
    peer.heardAt = now;
    if (peer.state === 'proving') return onProvingLine(peer, line);
    peer.pingedAt = undefined;
    if (peer.claimed) reclaims.holderAlive(peer);
    if (!isReading(peer)) return false;
    const envelope = decodeEnvelope(line);
    if (envelope.ok) {
      if (peer.state === 'ready') relay.line(peer, envelope.value);
      else admission.handshake(peer, envelope.value);
    } else if (envelope.reason === 'not-utf8') {
      drop(peer, 'not-utf8');
    } else if (peer.state === 'ready') {
      relay.malformed(peer);
    } else {
      drop(peer, 'not-a-handshake');
    }
    return isReading(peer);
  }

  function onProvingLine(peer: Peer, line: Uint8Array): boolean {
    const envelope = decodeEnvelope(line);
    if (!envelope.ok && envelope.reason === 'not-utf8') drop(peer, 'not-utf8');
    else proofs.line(peer, envelope.ok ? envelope.value : undefined);
    return isReading(peer);
  }

  function onData(peer: Peer, push: (now: number) => boolean, length: number): void {
    if (!isReading(peer)) return;
    tally.bytesIn += length;
    if (!push(clock.now())) drop(peer, 'oversize');
    fanout.settle();
  }

  function accept(connection: Connection): void {
    if (!accepting) {
      connection.destroy();
      return;
    }
    tally.connectionsAccepted++;
    const circuit = enterCircuit(connection);
    if (circuit === 'full') return;
    const peer = createPeer(connection, fanout.outboxes.open(connection), circuit, clock.now());
    enter(peer);
    admission.arrived();
    fanout.settle();
  }

  /** A fresh record: from now on it is read, and freed when its connection ends. */
  function enter(peer: Peer): void {
    const { connection, framer } = peer;
    registry.add(peer);
    sweeper.start();
    connection.attach({
      data(chunk) {
        onData(peer, (now) => framer.push(chunk, (line) => onLine(peer, line, now)), chunk.length);
      },
      closed() {
        // A refused peer was counted when it was refused.
        free(peer, peer.state === 'ending' ? undefined : 'closed-by-peer');
        fanout.settle();
      },
    });
  }

  /** The circuit of a fresh connection, if it is known; `full` ends the connection. */
  function enterCircuit(connection: Connection): Circuit | 'full' | undefined {
    if (connection.circuit === undefined) return undefined;
    const circuit = circuits.enter(connection.circuit, limits().streamsPerCircuit);
    if (circuit === 'full') {
      tally.closed['circuit-streams']++;
      connection.attach({ data() {}, closed() {} });
      connection.destroy();
    }
    return circuit;
  }

  /** Sends what is owed once more, then lets every connection go. */
  function endAll(): void {
    fanout.flush();
    for (const peer of [...registry.ready, ...registry.unhandshaked]) {
      registry.makeEnding(peer);
      fanout.outboxes.close(peer.outbox);
      tally.closed.shutdown++;
      peer.connection.end(CLOSE_GRACE_MS);
    }
    reclaims.clear();
    proofs.clear();
    budgets.clear();
    dialBack?.clear();
    peerlists.clear();
    fanout.clear();
  }

  function cutOff(): void {
    for (const peer of registry.ending) {
      free(peer, undefined);
      peer.connection.destroy();
    }
  }

  return {
    accept,
    enter,
    drop,
    stopAccepting() {
      accepting = false;
    },
    async refusedGone() {
      const until = clock.now() + CLOSE_LIMIT_MS;
      while (registry.ending.size > 0 && clock.now() < until) {
        // oxlint-disable-next-line no-await-in-loop -- looked for in turns
        await new Promise<void>((resolve) => void clock.after(REFUSED_LOOK_MS, resolve));
      }
    },
    async close() {
      accepting = false;
      endAll();
      if (registry.connectionCount === 0) return;
      await new Promise<void>((resolve) => {
        const cancelLimit = clock.after(CLOSE_LIMIT_MS, cutOff);
        onEmpty = () => {
          cancelLimit();
          resolve();
        };
      });
    },
  };
}
