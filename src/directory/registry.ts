/**
 * The connections of a directory. Each is in exactly one of three sets, depending on its state; the
 * nick map contains the ready ones. `remove` removes a peer from all of them, and only this peer: a
 * late close of an old connection does not affect the next holder of its nick.
 */
import type { Peer } from './peer.js';

export interface Registry {
  /** Without an accepted handshake, in order of arrival; states `new`, `gated`, `waiting` and `proving`. */
  readonly unhandshaked: ReadonlySet<Peer>;
  /** Ready, in no order. */
  readonly ready: readonly Peer[];
  /** Refused and closing. */
  readonly ending: ReadonlySet<Peer>;
  readonly connectionCount: number;
  /** Changes whenever a peer becomes ready or leaves. */
  readonly version: number;
  byNick(nick: string): Peer | undefined;
  add(peer: Peer): void;
  /** Throws when the nick is taken: the caller must decide about that before. */
  makeReady(peer: Peer): void;
  makeEnding(peer: Peer): void;
  /** Removes it; false when it was removed before. */
  remove(peer: Peer): boolean;
}

export function createRegistry(): Registry {
  const unhandshaked = new Set<Peer>();
  const ready: Peer[] = [];
  const ending = new Set<Peer>();
  const nicks = new Map<string, Peer>();
  let version = 0;

  function leaveReady(peer: Peer): void {
    const last = ready.pop();
    if (last && last !== peer) {
      ready[peer.slot] = last;
      last.slot = peer.slot;
    }
    peer.slot = -1;
    nicks.delete(peer.nick);
    version++;
  }

  function leave(peer: Peer): void {
    switch (peer.state) {
      case 'new':
      case 'gated':
      case 'waiting':
      case 'proving':
        unhandshaked.delete(peer);
        break;
      case 'ready':
        leaveReady(peer);
        break;
      case 'ending':
        ending.delete(peer);
        break;
      case 'gone':
        break;
    }
  }

  return {
    unhandshaked,
    ready,
    ending,
    get connectionCount() {
      return unhandshaked.size + ready.length + ending.size;
    },
    get version() {
      return version;
    },
    byNick: (nick) => nicks.get(nick),
    add(peer) {
      unhandshaked.add(peer);
    },
    makeReady(peer) {
      if (nicks.has(peer.nick)) throw new Error('two ready peers with one nick');
      leave(peer);
      peer.state = 'ready';
      peer.slot = ready.length;
      ready.push(peer);
      nicks.set(peer.nick, peer);
      version++;
      peer.arrival = version;
    },
    makeEnding(peer) {
      leave(peer);
      peer.state = 'ending';
      ending.add(peer);
    },
    remove(peer) {
      if (peer.state === 'gone') return false;
      leave(peer);
      peer.state = 'gone';
      return true;
    },
  };
}
