/**
 * The honest half of a soak: makers and takers that come, ask for offers, answer, hold conversations
 * and go, as deployed peers do and well below every limit. Each delivery is recorded in the ledger.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { errorText } from '../../src/kit/error-text.js';
import { MessageType } from '../../src/protocol/constants.js';
import type { Envelope } from '../../src/protocol/envelope.js';
import { formatLocation, onionHost, type DeclaredLocation } from '../../src/protocol/location.js';
import { parseRoute, verifyPrivmsg } from '../../src/protocol/message.js';
import { createNickKey, type NickKey } from '../../src/protocol/nick.js';
import { parsePeerlist } from '../../src/protocol/peerlist.js';
import { join, type HonestPeer } from './honest-peer.js';
import type { Ledger } from './ledger.js';
import type { Chance } from './random.js';
import type { Victim } from './reports.js';

/** One coinjoin conversation after a maker's offer, taker and maker in turn. */
const STAGES = ['sw0reloffer', 'fill', 'pubkey', 'auth', 'ioauth', 'tx', 'sig'] as const;
/** The share of offers that a taker takes. */
const TAKEN_OFFERS = 0.2;
/** The age of a peer below which an unexpected message to it is no fault. */
const RECENT_MS = 5_000;
const FEATURE_SETS = [[], ['ping'], ['peerlist_features', 'ping']];

const now = (): number => performance.now();

/** The peer has just come or is leaving, so an unexpected message is no fault. */
const isUnsettled = (peer: HonestPeer): boolean =>
  peer.leaving || now() - peer.joinedAt < RECENT_MS;

export interface HonestPeerNumbers {
  /** Peers that stay. */
  readonly makers: number;
  readonly takers: number;
  /** Seats whose holder changes; every second one is a maker. */
  readonly temporary: number;
}

export interface HonestPeerFaults {
  /** Handshakes that were not accepted. */
  refused: number;
  /** Connections that the directory ended. */
  cutOff: number;
  /** Messages under an honest name that their sender never sent, or whose signature is wrong. */
  forged: number;
}

export interface HonestPeers {
  /** The number of connected peers. */
  readonly size: number;
  readonly joins: number;
  readonly leaves: number;
  /** Conversations that reached their last message. */
  readonly conversations: number;
  readonly faults: Readonly<HonestPeerFaults>;
  /** The peers that stay, once they are connected. */
  readonly victims: readonly Victim[];
  /** Connects all peers that stay. */
  open(): Promise<void>;
  /** One step of all peers; to be called every 50 ms or so. */
  step(): void;
  /** From now on no peer sends a new message, comes or leaves. */
  stopSending(): void;
  /** All temporary leave while the others watch. */
  endTemporary(): Promise<void>;
  /** All other peers leave. */
  close(): Promise<void>;
}

export interface HonestPeersOptions {
  readonly port: number;
  readonly size: HonestPeerNumbers;
  readonly ledger: Ledger;
  readonly chance: Chance;
}

interface Member {
  readonly peer: HonestPeer;
  readonly location: DeclaredLocation | undefined;
  /** The time of its next public message. */
  speakAt: number;
}

/** The slot of a peer that comes and goes. */
interface Slot {
  readonly serves: boolean;
  state: 'empty' | 'coming' | 'in' | 'going' | 'gone';
  member: Member | undefined;
  /** The key of the last holder, which may come back. */
  key: NickKey | undefined;
  /** When the state changes next. */
  at: number;
}

export function startHonestPeers({ port, size, ledger, chance }: HonestPeersOptions): HonestPeers {
  const members = new Map<string, Member>();
  /** Every nick that an honest peer ever had, with the number of its leaves. */
  const honest = new Map<string, number>();
  const victims: Victim[] = [];
  const faults: HonestPeerFaults = { refused: 0, cutOff: 0, forged: 0 };
  const slots: Slot[] = Array.from({ length: size.temporary }, (_, n) => ({
    serves: n % 2 === 0,
    state: 'empty',
    member: undefined,
    key: undefined,
    at: now() + chance.between(0, 3_000),
  }));
  let counter = 0;
  let hushed = false;
  let joins = 0;
  let leaves = 0;
  let conversations = 0;

  function sendPrivate(from: HonestPeer, to: string, stage: number): void {
    const target = members.get(to);
    const command = STAGES[stage];
    if (from.leaving || !target || target.peer.leaving || command === undefined) return;
    const id = `s${++counter}`;
    // Recorded after sending: the time for signing is not the directory's.
    from.send(to, command, `${id} ${stage} 0 0 0`);
    ledger.expect('private', to, `${from.nick} ${id}`, from.nick);
  }

  function publish({ peer, location }: Member): void {
    const id = `s${++counter}`;
    for (const { peer: other } of members.values()) {
      if (other === peer || other.leaving) continue;
      ledger.expect('public', other.nick, `${peer.nick} ${id}`, peer.nick);
    }
    peer.publish(location ? `sw0reloffer 0 27300 500000000 0 0.00002 ${id}` : `orderbook ${id}`);
  }

  function onPublic(peer: HonestPeer, from: string, text: string): void {
    const id = /(?:^orderbook|^sw0reloffer .*) (s\d+)$/.exec(text)?.[1];
    if (id === undefined) {
      faults.forged++;
      return;
    }
    ledger.arrived('public', peer.nick, `${from} ${id}`, isUnsettled(peer));
    if (!hushed && peer.serves && text.startsWith('orderbook')) sendPrivate(peer, from, 0);
  }

  function onPrivate(peer: HonestPeer, from: string, to: string, text: string): void {
    const message = verifyPrivmsg(from, to, text);
    const [id, stageText] = message.ok ? message.value.commands[0].args : [];
    if (to !== peer.nick || id === undefined || stageText === undefined) {
      faults.forged++;
      return;
    }
    ledger.arrived('private', peer.nick, `${from} ${id}`, isUnsettled(peer));
    const stage = Number(stageText);
    if (stage === STAGES.length - 1) conversations++;
    else if (stage > 0 || (!hushed && chance.next() < TAKEN_OFFERS)) {
      sendPrivate(peer, from, stage + 1);
    }
  }

  function onPeerlist(peer: HonestPeer, payload: string): void {
    for (const { nick, left } of parsePeerlist(payload).entries) {
      const times = honest.get(nick);
      if (!left || times === undefined) continue;
      ledger.arrived('leave', peer.nick, `${nick} ${times}`, isUnsettled(peer));
    }
  }

  function onLine(peer: HonestPeer, { type, line }: Envelope): void {
    if (type === MessageType.PEERLIST) {
      onPeerlist(peer, line);
      return;
    }
    const route = parseRoute(line);
    // Messages of other peers under their own nicks are not checked.
    if (!route.ok || !honest.has(route.value.from)) return;
    const { from, to, text } = route.value;
    if (type === MessageType.PUBMSG && to === undefined) onPublic(peer, from, text);
    else if (type === MessageType.PRIVMSG && to !== undefined) onPrivate(peer, from, to, text);
    else faults.forged++;
  }

  async function admit(key: NickKey, serves: boolean): Promise<Member | undefined> {
    const host = serves ? onionHost(chance.bytes(32)) : undefined;
    const location =
      host === undefined ? undefined : ({ kind: 'onion', host, port: 5222 } as const);
    const handler = {
      line: onLine,
      lost: (peer: HonestPeer) => {
        faults.cutOff++;
        process.stderr.write(`soak: an honest ${peer.serves ? 'maker' : 'taker'} was cut off\n`);
      },
    };
    const features = chance.pick(FEATURE_SETS) ?? [];
    honest.set(key.nick, honest.get(key.nick) ?? 0);
    try {
      const peer = await join({ port, key, location, features, handler });
      const member = { peer, location, speakAt: now() + chance.between(300, 4_000) };
      members.set(key.nick, member);
      joins++;
      return member;
    } catch (error) {
      faults.refused++;
      // The directory may have accepted it nevertheless; its leave is not expected.
      honest.delete(key.nick);
      const reason = errorText(error);
      process.stderr.write(`soak: an honest peer was not let in: ${reason}\n`);
      return undefined;
    }
  }

  /** Ends the connection of a peer that expects no delivery and has none under way. */
  async function depart({ peer }: Member, how: 'end' | 'reset', watched: boolean): Promise<void> {
    members.delete(peer.nick);
    const times = (honest.get(peer.nick) ?? 0) + 1;
    honest.set(peer.nick, times);
    leaves++;
    for (const { peer: other } of watched ? members.values() : []) {
      if (!other.leaving) ledger.expect('leave', other.nick, `${peer.nick} ${times}`, peer.nick);
    }
    await peer.leave(how);
  }

  async function joinIn(slot: Slot): Promise<void> {
    slot.state = 'coming';
    const back = slot.key !== undefined && chance.next() < 0.5;
    slot.key = back && slot.key ? slot.key : createNickKey((count) => chance.bytes(count));
    slot.member = await admit(slot.key, slot.serves);
    slot.state = slot.member ? 'in' : 'empty';
    if (!slot.member) slot.key = undefined;
    slot.at = now() + (slot.member ? chance.between(4_000, 40_000) : 2_000);
  }

  async function leaveFrom(slot: Slot, member: Member): Promise<void> {
    slot.state = 'gone';
    await depart(member, chance.next() < 0.5 ? 'end' : 'reset', true);
    slot.member = undefined;
    slot.state = 'empty';
    slot.at = now() + chance.between(0, 3_000);
  }

  function stepSlot(slot: Slot, time: number): void {
    const { member, state } = slot;
    if (state === 'going' && member) {
      if (ledger.open(member.peer.nick) === 0) void leaveFrom(slot, member);
    } else if (!hushed && time >= slot.at) {
      if (state === 'empty') void joinIn(slot);
      else if (state === 'in' && member) {
        member.peer.leaving = true;
        slot.state = 'going';
      }
    }
  }

  return {
    get size() {
      return members.size;
    },
    get joins() {
      return joins;
    },
    get leaves() {
      return leaves;
    },
    get conversations() {
      return conversations;
    },
    faults,
    victims,
    async open() {
      const roles = [
        ...Array.from({ length: size.makers }, () => true),
        ...Array.from({ length: size.takers }, () => false),
      ];
      for (const serves of roles) {
        const member = await admit(
          createNickKey((count) => chance.bytes(count)),
          serves,
        );
        if (!member) continue;
        const location = formatLocation(member.location ?? { kind: 'not-serving' });
        victims.push({ nick: member.peer.nick, location });
      }
    },
    step() {
      const time = now();
      for (const slot of slots) stepSlot(slot, time);
      if (hushed) return;
      for (const member of members.values()) {
        if (member.peer.leaving || time < member.speakAt) continue;
        member.speakAt = time + chance.between(15_000, 30_000);
        publish(member);
      }
    },
    stopSending() {
      hushed = true;
    },
    async endTemporary() {
      while (slots.some(({ state }) => state === 'coming' || state === 'gone')) await sleep(50);
      const taken = slots.filter((slot) => slot.member !== undefined);
      // A peer that leaves does not have to get the leaves of others.
      for (const { member } of taken) if (member) member.peer.leaving = true;
      for (const slot of taken) if (slot.member) await leaveFrom(slot, slot.member);
    },
    async close() {
      const rest = [...members.values()];
      for (const { peer } of rest) peer.leaving = true;
      await Promise.all(rest.map((member) => depart(member, 'end', false)));
    },
  };
}
