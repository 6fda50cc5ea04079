/**
 * Nick authentication, a peer's side (docs/protocol.md, section 7.6): what it signs and for which directory,
 * what it does after a failure, and both sides together.
 */
import t, { type Test } from 'tap';
import {
  directoryId,
  formatNickChallenge,
  formatNickResult,
  parseNickProof,
  verifyNickProof,
  type NickAuthChallenge,
  type NickAuthMode,
} from '../../src/protocol/nick-auth.js';
import { createLoopbackOverlay } from '../../src/overlay/loopback.js';
import { startDirectoryNode } from '../../src/roles/directory-node.js';
import {
  keyOf,
  openLiveTestChannel,
  openTestChannel,
  type TestChannel,
} from '../helpers/test-channel.js';
import {
  directoryAnswer,
  startFakeDirectory,
  type FakeDirectory,
} from '../helpers/fake-directory.js';
import type { RawPeer } from '../helpers/raw-peer.js';

const OURS = keyOf(2);
const OTHER = keyOf(3);

interface Scene {
  readonly directory: FakeDirectory;
  readonly channel: TestChannel;
  /** The correct challenge for this directory. */
  readonly challenge: NickAuthChallenge;
}

async function scene(test: Test, nickAuth?: NickAuthMode): Promise<Scene> {
  const directory = await startFakeDirectory();
  test.teardown(() => directory.close());
  const channel = openTestChannel([directory.location], {
    nickKey: OURS,
    ...(nickAuth === undefined ? {} : { nickAuth }),
  });
  test.teardown(() => channel.close());
  const challenge = { challenge: 'ab'.repeat(32), directoryId: directoryId(directory.location) };
  return { directory, channel, challenge };
}

/** The next connection, its 793 read and answered; what it offered. */
async function accepted(
  { directory }: Scene,
  features: readonly string[],
): Promise<{ readonly peer: RawPeer; readonly handshake: string; readonly offers: boolean }> {
  const peer = await directory.accept();
  const { line } = await peer.nextOf(793);
  peer.send(795, directoryAnswer({ features }));
  return { peer, handshake: line, offers: line.includes('"nick_auth": true') };
}

t.test('proves its nick and is up after the result', async (t) => {
  const s = await scene(t);
  const { peer, handshake, offers } = await accepted(s, ['nick_auth', 'peerlist_features', 'ping']);
  t.equal(offers, true);
  peer.send(803, formatNickChallenge(s.challenge));
  const proof = parseNickProof((await peer.next()).line);
  t.equal(proof.ok && verifyNickProof(proof.value, s.challenge, handshake, OURS.nick), true);
  t.equal(s.channel.waiting('directory-up'), 0, 'not yet');
  t.strictSame(s.channel.publish('orderbook'), { sentTo: 0 });
  peer.send(807, formatNickResult('ok'));
  t.match(await s.channel.next('directory-up'), {
    features: ['nick_auth', 'peerlist_features', 'ping'],
  });
  t.equal((await peer.next()).type, 791, 'other lines follow only now');
  // It signs once; a second challenge is junk.
  peer.send(803, formatNickChallenge(s.challenge));
  peer.send(798, '');
  t.equal((await peer.next()).type, 799);
});

t.test('directories without the feature see no more than its name', async (t) => {
  for (const mode of ['disabled', 'prefer_verified'] as const) {
    const s = await scene(t, mode);
    const { peer, offers } = await accepted(s, ['ping']);
    t.equal(offers, mode !== 'disabled', mode);
    await s.channel.next('directory-up');
    peer.send(803, formatNickChallenge(s.challenge));
    peer.send(798, '');
    t.equal((await peer.next()).type, 799, 'a challenge without the feature is not answered');
  }
  const off = await scene(t, 'disabled');
  await accepted(off, ['nick_auth']);
  await off.channel.next('directory-up');
  t.pass('it does not wait for a challenge');
});

t.test(
  'nothing is signed for another directory, and a failure is followed by a plain attempt',
  async (t) => {
    const right = 'ab'.repeat(32);
    const rows: readonly [string, RegExp, (s: Scene, peer: RawPeer) => Promise<void> | void][] = [
      [
        "another directory's challenge",
        /sent a nick challenge for another directory/,
        (_s, peer) =>
          peer.send(803, formatNickChallenge({ challenge: right, directoryId: '127.0.0.1:1' })),
      ],
      [
        'malformed challenge',
        /sent a malformed nick challenge/,
        (s, peer) =>
          peer.send(803, formatNickChallenge({ ...s.challenge, challenge: right.slice(1) })),
      ],
      [
        'a message instead',
        /did not send the nick challenge that it announced/,
        (_s, peer) => peer.send(687, `${OTHER.nick}!PUBLIC!orderbook`),
      ],
      [
        'a refusal',
        /refused the proof of our nick: policy/,
        async (s, peer) => {
          peer.send(803, formatNickChallenge(s.challenge));
          await peer.nextOf(805);
          peer.send(807, formatNickResult('policy'));
        },
      ],
      [
        'a second challenge',
        /did not answer the proof of our nick/,
        async (s, peer) => {
          peer.send(803, formatNickChallenge(s.challenge));
          await peer.nextOf(805);
          peer.send(803, formatNickChallenge(s.challenge));
        },
      ],
      [
        'a result that contradicts itself',
        /did not answer the proof of our nick/,
        async (s, peer) => {
          peer.send(803, formatNickChallenge(s.challenge));
          await peer.nextOf(805);
          peer.send(807, '{"code":"ok","verified":false}');
        },
      ],
      [
        'no line',
        /did not answer our handshake/,
        async (s, peer) => {
          peer.send(803, formatNickChallenge(s.challenge));
          await peer.nextOf(805);
          s.channel.clock.advance(120_000);
        },
      ],
      ['the end', /closed by the other side/, (_s, peer) => peer.end()],
    ];
    for (const [name, reason, answer] of rows) {
      const s = await scene(t);
      const first = await accepted(s, ['nick_auth']);
      await answer(s, first.peer);
      const { reason: why, retryInMs } = await s.channel.next('directory-down');
      t.match(why, reason, name);
      s.channel.clock.advance(retryInMs ?? 0);
      const second = await accepted(s, ['nick_auth']);
      t.equal(second.offers, false, 'the next attempt does not offer it');
      await s.channel.next('directory-up');
      second.peer.end();
      const down = await s.channel.next('directory-down');
      s.channel.clock.advance(down.retryInMs ?? 0);
      t.equal((await accepted(s, [])).offers, true, 'the one after that does');
    }
  },
);

t.test('a directory that must authenticate the nick', async (t) => {
  const s = await scene(t, 'require_verified');
  await accepted(s, ['ping']);
  const { reason, retryInMs } = await s.channel.next('directory-down');
  t.match(reason, /does not support nick_auth, which is required here/);
  s.channel.clock.advance(retryInMs ?? 0);
  const { peer, offers } = await accepted(s, ['nick_auth']);
  t.equal(offers, true);
  peer.send(803, formatNickChallenge(s.challenge));
  await peer.nextOf(805);
  peer.send(807, formatNickResult('invalid'));
  const down = await s.channel.next('directory-down');
  s.channel.clock.advance(down.retryInMs ?? 0);
  t.equal((await accepted(s, [])).offers, true, 'never without');
});

t.test('both sides: the owner is back at once, and a message finds it', async (t) => {
  const overlay = createLoopbackOverlay({ host: '127.0.0.1', port: 0 });
  const node = await startDirectoryNode({
    network: 'signet',
    overlay,
    nickAuth: 'require_verified',
  });
  const open = (nickKey = OURS) => openLiveTestChannel([node.location], { nickKey });
  const friend = open(OTHER);
  t.teardown(async () => {
    await friend.close();
    await node.close();
    await overlay.close();
  });
  await friend.next('directory-up');
  const first = open();
  await first.next('directory-up');
  first.publish('orderbook');
  await friend.next('pubmsg');

  const again = open();
  await again.next('directory-up');
  t.match(await first.next('directory-down'), { reason: /closed by the other side|lost/ });
  await first.close();
  const stats = node.directory.stats();
  t.match(stats, { nickProbes: 0, closed: { 'nick-displaced': 1 } });
  again.publish('orderbook');
  await friend.next('pubmsg');
  friend.send(OURS.nick, 'error', 'hello');
  t.match(await again.next('privmsg'), { from: OTHER.nick });
  await again.close();
});
