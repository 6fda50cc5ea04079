/**
 * Two nodes over a real nats-server whose clocks differ by three years, and a third one that the test plays: a
 * node of a later version, which says what these do not know, and which was taken over.
 */
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import t, { type Test } from 'tap';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { createCluster, type Cluster } from '../../src/cluster/cluster.js';
import { SetDigest } from '../../src/cluster/digest.js';
import { natsBus } from '../../src/cluster/nats/nats-bus.js';
import { clusterKeyHex, openPacket, sealPacket } from '../../src/cluster/packet.js';
import { NO_FACTS } from '../../src/cluster/facts.js';
import { keySeals } from '../../src/cluster/seals.js';
import {
  formatClusterRecord,
  parseClusterRecord,
  type ClusterRecord,
  type Entry,
} from '../../src/cluster/record.js';
import { silentLog } from '../../src/channel/log.js';
import type { JsonRecord } from '../../src/kit/json-record.js';
import type { Clock } from '../../src/kit/clock.js';
import { systemClock } from '../../src/overlay/system-clock.js';
import { carriedProof, createNickChallenge, proveNick } from '../../src/protocol/nick-auth.js';
import { createNickKey, type NickKey } from '../../src/protocol/nick.js';
import { hello, onion, runDirectory, until, type Client, type Running } from '../directory/wire.js';
import {
  startCuttingProxy,
  startNatsServer,
  type CuttingProxy,
  type NatsServer,
} from '../helpers/nats-server.js';

const YEARS_MS = 1e11;
const later: Clock = { ...systemClock, now: () => systemClock.now() + YEARS_MS };
const keys = new Map(
  ['a', 'b', 'd'].map((name) => [name, generateKeyPairSync('ed25519').privateKey]),
);
const nodes = new Map([...keys].map(([name, key]) => [name, clusterKeyHex(key)]));
const PREFIX = 'onionmc.pit.signet';

function keyOf(name: string) {
  const key = keys.get(name);
  if (!key) throw new Error(`no node ${name}`);
  return key;
}

interface Node extends Running {
  readonly cluster: Cluster;
  readonly proxy: CuttingProxy;
}

async function startNode(
  test: Test,
  server: NatsServer,
  name: string,
  clock: Clock,
): Promise<Node> {
  const proxy = await startCuttingProxy(test, server.port);
  const cluster = createCluster({
    name: 'pit',
    network: 'signet',
    node: name,
    nodes,
    key: keyOf(name),
    bus: natsBus({
      servers: [{ host: '127.0.0.1', port: proxy.port }],
      tls: false,
      name: `onionmc ${name}`,
      clock,
    }),
    clock,
    log: silentLog,
    version: '1.0',
  });
  const running = await runDirectory({ clock, neighbours: cluster.neighbours });
  await cluster.start();
  test.teardown(async () => {
    await cluster.close();
    await running.stop();
  });
  return { ...running, cluster, proxy };
}

/** The node that the test plays. */
interface Played {
  /** Publishes JSON records to all nodes. */
  say(...records: readonly JsonRecord[]): void;
  /** Its peers, as its heartbeats and snapshots state them. */
  readonly peers: Map<string, Entry>;
  close(): Promise<void>;
}

const EXTRA = { later: { of: ['the', 'future'] } };
const textOf = (record: JsonRecord): string => JSON.stringify({ ...record, ...EXTRA });
const recordOf = formatClusterRecord;

/** Answers what nodes ask; each record and packet of it has fields of a later version. */
async function playNode(server: NatsServer): Promise<Played> {
  const connection: NatsConnection = await connect({ servers: server.url });
  const epoch = randomBytes(12).toString('hex');
  const seqs = new Map<string, number>();
  const peers = new Map<string, Entry>();
  const send = (to: string | undefined, texts: readonly string[]): void => {
    const seq = (seqs.get(to ?? '*') ?? 0) + 1;
    seqs.set(to ?? '*', seq);
    const head = { cluster: 'pit.signet', node: 'd', epoch, to, seq };
    const subject = to === undefined ? `${PREFIX}.all` : `${PREFIX}.to.${to}`;
    connection.publish(subject, sealPacket(head, texts, keySeals(keyOf('d'), new Map())));
  };
  const answer = (from: string, record: ClusterRecord): void => {
    if (record.type === 'ask') {
      const seq = seqs.get('*') ?? 0;
      send(from, [textOf(recordOf({ type: 'prove', nonce: record.nonce, seq }))]);
    } else if (record.type === 'want') {
      const { id } = record;
      const entries = [...peers.values()];
      send(from, [textOf(recordOf({ type: 'chunk', id, index: 0, total: 1, entries }))]);
    }
  };
  connection.subscribe(`${PREFIX}.to.d`, {
    callback(_error, { data }) {
      const packet = openPacket(data);
      for (const value of packet?.records ?? []) {
        const record = parseClusterRecord(value);
        if (packet && typeof record === 'object') answer(packet.node, record);
      }
    },
  });
  const beat = (): void => {
    const digest = new SetDigest();
    for (const entry of peers.values()) digest.toggle(entry);
    const { size: count } = peers;
    send(undefined, [
      textOf(
        recordOf({
          type: 'beat',
          count,
          digest: digest.text,
          demand: [0, 0],
          version: '9.9',
          facts: NO_FACTS,
          places: undefined,
        }),
      ),
      textOf({ t: 'zz', n: 7 }),
    ]);
  };
  const timer = setInterval(beat, 500);
  beat();
  return {
    peers,
    say: (...records) => send(undefined, records.map(textOf)),
    async close() {
      clearInterval(timer);
      await connection.close();
    },
  };
}

const entryOf = (nick: string, more: Partial<Entry> = {}): Entry => ({
  nick,
  location: 'NOT-SERVING-ONION',
  features: [],
  rank: 0,
  ageMs: 1,
  key: undefined,
  proof: undefined,
  ...more,
});

function proofOf(key: NickKey) {
  const challenge = createNickChallenge('127.0.0.1:5222', randomBytes);
  const handshake = hello(key.nick);
  return carriedProof(proveNick(key, challenge, handshake), challenge, handshake);
}

async function nextOf(client: Client, type: number): Promise<string> {
  for (;;) {
    // oxlint-disable-next-line no-await-in-loop -- one line after the other
    const line = await client.next();
    if (line.type === type) return line.line;
  }
}

void t.test('nodes of two versions, of two times, and a false one', async (t) => {
  const server = await startNatsServer(t);
  const a = await startNode(t, server, 'a', systemClock);
  const b = await startNode(t, server, 'b', later);
  const played = await playNode(server);
  t.teardown(() => played.close());
  const all = [a, b];
  const whole = (): boolean =>
    all.every(({ cluster }) => {
      const { connected, nodes: others } = cluster.state();
      return connected && others.every(({ life, inSync }) => life === 'alive' && inSync);
    });
  const peersEverywhere = (count: number) => (): boolean =>
    all.every(({ cluster }) => cluster.state().peers === count);
  await until(whole);
  const x = await a.join('J5x');
  const y = await b.join('J5y');
  await until(peersEverywhere(2));

  await t.test('records and fields that only a later version knows are ignored', async (t) => {
    const entry = entryOf('J5later');
    played.peers.set(entry.nick, entry);
    played.say({ t: 'future', n: 'J5x' }, recordOf({ type: 'join', entry }), { t: 'zz' });
    await until(peersEverywhere(3));
    await until(whole);
    played.say({ t: 'zz' }, recordOf({ type: 'public', payload: 'J5later!PUBLIC!hello' }));
    t.equal(await nextOf(x, 687), 'J5later!PUBLIC!hello');
    t.equal(await nextOf(y, 687), 'J5later!PUBLIC!hello');
    for (const { cluster } of all) {
      const { nodes: others, counters } = cluster.state();
      t.equal(others.find(({ name }) => name === 'd')?.version, '9.9');
      t.equal(counters.dropped.record, 0);
      t.equal(counters.dropped.malformed, 0);
    }
    played.peers.delete(entry.nick);
    played.say(recordOf({ type: 'leave', nick: entry.nick }));
    t.equal(await nextOf(y, 789), 'J5later;NOT-SERVING-ONION;D');
    t.equal(await nextOf(x, 789), 'J5later;NOT-SERVING-ONION;D');
  });

  await t.test('a false proof displaces no peer, a right one does', async (t) => {
    const key = createNickKey(randomBytes);
    const holder = await a.join(key.nick, { location: onion(1) });
    await until(peersEverywhere(3));
    await until(whole);
    const { nicksLost } = a.cluster.state().counters;
    const stated = { key: key.publicKeyHex, ageMs: YEARS_MS };
    const forged = entryOf(key.nick, { ...stated, proof: proofOf(createNickKey(randomBytes)) });
    played.peers.set(key.nick, forged);
    played.say(recordOf({ type: 'join', entry: forged }));
    await until(() => a.cluster.state().counters.dropped.proof === 1);
    await until(whole);
    x.send(685, `J5x!${key.nick}!still here`);
    t.equal(await nextOf(holder, 685), `J5x!${key.nick}!still here`);
    t.equal(a.cluster.state().counters.nicksLost, nicksLost);
    const right = entryOf(key.nick, { ...stated, ageMs: 1, proof: proofOf(key) });
    played.peers.set(key.nick, right);
    played.say(recordOf({ type: 'join', entry: right }));
    await holder.closed;
    t.ok(holder.unread.some((line) => line.includes('nick is in use')));
    t.equal(a.cluster.state().counters.nicksLost, nicksLost + 1);
    t.equal(a.cluster.state().counters.dropped.proof, 1, 'the wrong one was counted once');
    played.peers.delete(key.nick);
    played.say(recordOf({ type: 'leave', nick: key.nick }));
    await until(peersEverywhere(2));
  });

  await t.test('after a partition the earlier peer wins, whatever the clocks say', async (t) => {
    for (const { proxy } of all) proxy.set('cut');
    await until(() => all.every(({ cluster }) => !cluster.state().connected));
    const early = await b.join('J5z', { location: onion(1) });
    const other = await a.join('J5w', { location: onion(2) });
    // So that the ages of the connections differ by more than their way through the bus.
    await new Promise((resolve) => {
      systemClock.after(200, () => resolve(undefined));
    });
    const late = await a.join('J5z', { location: onion(3) });
    const second = await b.join('J5w', { location: onion(4) });
    for (const { proxy } of all) proxy.set('open');
    await Promise.all([late.closed, second.closed]);
    await until(() => whole() && peersEverywhere(4)());
    for (const loser of [late, second]) {
      const told = loser.unread.filter((line) => line.includes('nick is in use'));
      t.equal(told.length, 1, 'told once');
    }
    early.send(687, 'J5z!PUBLIC!mine');
    t.equal(await nextOf(other, 687), 'J5z!PUBLIC!mine');
    other.send(687, 'J5w!PUBLIC!mine');
    t.equal(await nextOf(early, 687), 'J5w!PUBLIC!mine');
  });
});
