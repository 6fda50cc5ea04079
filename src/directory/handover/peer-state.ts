/** Writes and reads the record of one peer for another process. */
import { BoundedMap } from '../../kit/bounded-map.js';
import { PEERLIST_FEATURE, PING_FEATURE } from '../../protocol/features.js';
import type { Circuit } from '../entry/circuits.js';
import type { Peer } from '../peer.js';
import { newPartners } from '../relay/conversations.js';
import { MAX_GONE_TOLD } from '../relay/gone-notice.js';
import { RATE_CLASSES } from '../message-classes.js';
import type { Meters } from '../rates.js';
import type { Aged, MeterSnapshot, PeerSnapshot, WaitingSnapshot } from '../snapshot.js';
import type { Tally } from '../stats.js';

function aged(times: ReadonlyMap<string, number> | undefined, now: number): readonly Aged[] {
  return [...(times ?? [])].map(([name, at]) => [name, now - at]);
}

function addTimed(times: Map<string, number>, entries: readonly Aged[], now: number): void {
  for (const [name, ms] of entries) times.set(name, now - ms);
}

function ageOf(at: number | undefined, now: number): number | undefined {
  return at === undefined ? undefined : now - at;
}

export function meterSnapshots(meters: Meters | undefined, now: number): readonly MeterSnapshot[] {
  return RATE_CLASSES.flatMap((kind) => {
    const meter = meters?.[kind];
    if (!meter) return [];
    const { tokens, filledAt, minute } = meter;
    const { since, count: inMinute } = minute;
    return [{ kind, tokens, filledMs: now - filledAt, minuteMs: now - since, inMinute }];
  });
}

export function restoreMeters(meters: readonly MeterSnapshot[], now: number): Meters | undefined {
  if (meters.length === 0) return undefined;
  const restored: Meters = {};
  for (const { kind, tokens, filledMs, minuteMs, inMinute } of meters) {
    const minute = { since: now - minuteMs, count: inMinute };
    restored[kind] = { tokens, filledAt: now - filledMs, minute };
  }
  return restored;
}

/** @param peer not refused and not ended */
export function snapshotPeer(
  peer: Peer,
  owed: Uint8Array,
  waits: readonly WaitingSnapshot[],
  now: number,
): PeerSnapshot {
  const { state, proving } = peer;
  return {
    // A peer in state `gated` is ended before.
    state: state === 'ending' || state === 'gone' || state === 'gated' ? 'new' : state,
    acceptedMs: now - peer.acceptedAt,
    heardMs: now - peer.heardAt,
    pingedMs: ageOf(peer.pingedAt, now),
    probedMs: ageOf(peer.probedAt, now),
    nick: peer.nick,
    via: peer.connection.via,
    ...(peer.connection.peerHost === undefined ? {} : { peerHost: peer.connection.peerHost }),
    location: peer.location,
    features: peer.features,
    verified: peer.verified,
    provenKey: peer.provenKey,
    carriedProof: peer.carriedProof,
    pass: peer.pass,
    proving: proving && {
      challenge: proving.challenge,
      handshake: proving.handshake,
      askedMs: now - proving.askedAt,
      proof: proving.proof,
    },
    circuit: peer.circuit?.id,
    meters: peer.circuit ? [] : meterSnapshots(peer.meters, now),
    addressed: aged(peer.partners?.addressed, now),
    mutual: aged(peer.partners?.mutual, now),
    spoofs: peer.spoofs,
    goneTold: aged(peer.goneTold, now),
    halfLine: peer.framer.pending(),
    owed,
    waits,
  };
}

/**
 * Fills a new record whose circuit was entered already. Queued bytes and waiting messages are not part
 * of it.
 */
export function restorePeer(peer: Peer, from: PeerSnapshot, now: number): void {
  peer.nick = from.nick;
  peer.location = from.location;
  peer.features = from.features;
  peer.canPing = from.features.includes(PING_FEATURE);
  peer.wantsFeatures = from.features.includes(PEERLIST_FEATURE);
  peer.heardAt = now - from.heardMs;
  peer.pingedAt = from.pingedMs === undefined ? undefined : now - from.pingedMs;
  peer.probedAt = from.probedMs === undefined ? undefined : now - from.probedMs;
  peer.verified = from.verified;
  peer.provenKey = from.provenKey;
  peer.carriedProof = from.carriedProof;
  peer.pass = from.pass;
  peer.spoofs = from.spoofs;
  if (!peer.circuit) peer.meters = restoreMeters(from.meters, now);
  if (from.addressed.length + from.mutual.length > 0) {
    peer.partners = newPartners();
    addTimed(peer.partners.addressed, from.addressed, now);
    addTimed(peer.partners.mutual, from.mutual, now);
  }
  if (from.goneTold.length > 0) {
    peer.goneTold = new BoundedMap(MAX_GONE_TOLD);
    addTimed(peer.goneTold, from.goneTold, now);
  }
  // It contains no end of a line.
  peer.framer.push(from.halfLine, () => false);
}

/** The circuits without streams of a snapshot. */
export function snapshotCircuit({ id, meters, streams, leftAt }: Circuit, now: number) {
  return {
    id,
    meters: meterSnapshots(meters, now),
    leftMs: streams > 0 ? undefined : now - leftAt,
  };
}

/** `closed.rate`, `flushes`: one number each. */
export function flatTally(tally: Tally): Record<string, number> {
  const flat: Record<string, number> = {};
  for (const [name, value] of Object.entries(tally)) {
    if (typeof value === 'number') flat[name] = value;
    else for (const [kind, count] of Object.entries(value)) flat[`${name}.${kind}`] = count;
  }
  return flat;
}

/** Sets the counters that are known here. */
export function restoreTally(tally: Tally, flat: Readonly<Record<string, number>>): void {
  for (const [name, value] of Object.entries(tally)) {
    if (typeof value === 'number') Reflect.set(tally, name, flat[name] ?? value);
    else {
      for (const kind of Object.keys(value)) {
        Reflect.set(value, kind, flat[`${name}.${kind}`] ?? Reflect.get(value, kind));
      }
    }
  }
}
