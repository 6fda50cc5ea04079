/** A taker that asks a maker once more, over real sockets. */
import { randomBytes } from 'node:crypto';
import t from 'tap';
import { silentLog } from '../../src/channel/log.js';
import { formatFill } from '../../src/negotiation/payloads.js';
import { systemClock } from '../../src/overlay/system-clock.js';
import type { Command, CommandName } from '../../src/protocol/commands.js';
import { createBoxKeyPair, openBoxSession } from '../../src/protocol/encryption.js';
import { formatPeerHandshake } from '../../src/protocol/handshake.js';
import { NOT_SERVING } from '../../src/protocol/location.js';
import { formatPrivmsg } from '../../src/protocol/message.js';
import { nickKey } from '../../src/protocol/nick.js';
import type { Offer } from '../../src/protocol/offer.js';
import { formatRevelation } from '../../src/protocol/podle.js';
import { startMaker } from '../../src/roles/maker.js';
import { anyPort, openLiveTestChannel, type LiveTestChannel } from '../helpers/test-channel.js';
import {
  createMakerWallet,
  createMemoryChain,
  createMemoryCommitments,
  createTakerWallet,
  mintFor,
  secretOf,
} from '../helpers/coinjoin-world.js';
import { serveDirectory } from '../helpers/directory-service.js';
import { channelVoice } from '../helpers/evil-taker.js';
import { dialRaw } from '../helpers/raw-peer.js';

const AMOUNT = 1_000_000;
const OFFER: Offer = {
  type: 'sw0absoffer',
  oid: 0,
  minsize: 27_300,
  maxsize: 500_000_000,
  txfee: 100,
  cjfee: '1100',
};

/** An unused commitment. */
const secretText = (text: string): string => Buffer.from(secretOf(text)).toString('hex');

t.test('a second fill with a new key, and repetitions of old ones', async (t) => {
  const directory = await serveDirectory(t, anyPort(), systemClock, 'J5directoryOOOOO');
  const open = async (name: string): Promise<LiveTestChannel> => {
    const key = nickKey(secretOf(name));
    const channel = openLiveTestChannel([directory.location], { nickKey: key });
    t.teardown(() => channel.close());
    await channel.next('welcome');
    return channel;
  };
  const serving = await open('maker');
  const chain = createMemoryChain();
  const values = Array.from({ length: 4 }, () => 1_500_000);
  const wallet = createMakerWallet('maker', mintFor(chain, 'maker', values));
  const maker = startMaker({
    channel: serving,
    offers: [OFFER],
    clock: systemClock,
    log: silentLog,
    blacklist: { store: createMemoryCommitments() },
    coinjoins: { network: 'signet', wallet, chain },
  });
  t.teardown(() => maker.stop());
  const proofs = createTakerWallet('taker', mintFor(chain, 'taker', [2e6, 2e6]));

  // The taker continues with one of its two keys, and with one of the maker's two answers.
  for (const [name, takerKeyIndex, makerKeyIndex] of [
    ['the new key', 1, 1],
    ['the old key', 0, 0],
    ['the new key, and our first answer', 1, 0],
  ] as const) {
    const taker = await open(name);
    maker.announce();
    await taker.next('pubmsg');
    const say = channelVoice(taker, serving.nick);
    const podle = await proofs.commit(AMOUNT, new AbortController().signal);
    if (podle === undefined) throw new Error('a proof');
    const { commitment, revelation } = podle;
    const keys = [createBoxKeyPair(randomBytes), createBoxKeyPair(randomBytes)];
    const fills = keys.map(({ publicKeyHex: takerKey }) =>
      formatFill({ oid: 0, amount: AMOUNT, takerKey, commitment }),
    );
    const told: string[] = [];
    for (const fill of fills) {
      const [answer] = await say('fill', fill);
      t.equal(answer?.command, 'pubkey', `${name}: answered`);
      told.push(answer?.args.split(' ')[0] ?? '');
    }
    // The old one is sent again, and one with another commitment.
    taker.send(serving.nick, 'fill', fills[0] ?? '');
    taker.send(serving.nick, 'fill', (fills[0] ?? '').replace(commitment, secretText(name)));
    const own = keys[takerKeyIndex];
    const box = openBoxSession(own ?? createBoxKeyPair(randomBytes), told[makerKeyIndex] ?? '');
    if (!box.ok) throw new Error(box.reason);
    taker.send(serving.nick, 'auth', box.value.encrypt(formatRevelation(revelation), randomBytes));
    let heard: Command = { name: 'pubkey', args: [] };
    while (heard.name !== 'ioauth') [heard] = (await taker.next('privmsg')).commands;
    t.pass(name);
    t.ok(box.value.decrypt(heard.args).ok, 'in the box that was opened');
    // A repetition does not end a proven session.
    const last = (fills[1] ?? '').replace(commitment, secretText(`${name} once more`));
    t.match(await say('fill', last), [{ command: 'pubkey' }]);
    t.equal(wallet.record.settlements.length, 0);
  }

  // For any number of requests, the maker keeps few keys of a taker.
  const taker = await open('one that asks five times');
  maker.announce();
  await taker.next('pubmsg');
  const say = channelVoice(taker, serving.nick);
  const before = maker.sessions;
  for (let n = 1; n <= 5; n++) {
    const { publicKeyHex: takerKey } = createBoxKeyPair(randomBytes);
    const commitment = secretText('five times');
    const fill = formatFill({ oid: 0, amount: AMOUNT, takerKey, commitment });
    t.match(await say('fill', fill), [{ command: 'pubkey' }], `answered ${n} times`);
    t.equal(maker.sessions - before, Math.min(n, 4), 'the oldest session makes room');
  }
});

t.test('a peer that uses the nick of a taker does not get its answers', async (t) => {
  const directory = await serveDirectory(t, anyPort(), systemClock, 'J5directoryOOOOO');
  const serving = openLiveTestChannel([directory.location], {
    nickKey: nickKey(secretOf('maker')),
    serve: true,
  });
  t.teardown(() => serving.close());
  await serving.next('welcome');
  const chain = createMemoryChain();
  const wallet = createMakerWallet('maker', mintFor(chain, 'maker', [1_500_000]));
  const maker = startMaker({
    channel: serving,
    offers: [OFFER],
    clock: systemClock,
    log: silentLog,
    blacklist: { store: createMemoryCommitments() },
    coinjoins: { network: 'signet', wallet, chain },
  });
  t.teardown(() => maker.stop());
  const takerKey = nickKey(secretOf('taker'));
  const taker = openLiveTestChannel([directory.location], { nickKey: takerKey, passive: true });
  t.teardown(() => taker.close());
  await taker.next('welcome');
  maker.announce();
  await taker.next('pubmsg');
  const { location } = serving;
  if (location.kind === 'not-serving') throw new Error('the maker serves');

  // A signature names no addressee, so another maker can send here what the taker sent to it.
  const otherPeer = await dialRaw(location);
  t.teardown(() => otherPeer.cut());
  const { nick } = takerKey;
  otherPeer.send(
    793,
    formatPeerHandshake({ nick, location: NOT_SERVING, network: 'signet', features: [] }),
  );
  const fillOf = (key: string, commitment: string): string =>
    formatFill({ oid: 0, amount: AMOUNT, takerKey: key, commitment });
  const elsewhere = fillOf(createBoxKeyPair(randomBytes).publicKeyHex, secretText('elsewhere'));
  otherPeer.send(685, formatPrivmsg(takerKey, serving.nick, 'fill', elsewhere));
  t.match((await otherPeer.nextOf(685)).line, /!pubkey /, 'it is answered');

  const atOtherPeer = otherPeer.nextOf(685);
  atOtherPeer.catch(() => {});
  const proofs = createTakerWallet('taker', mintFor(chain, 'taker', [2e6]));
  const podle = await proofs.commit(AMOUNT, new AbortController().signal);
  if (podle === undefined) throw new Error('a proof');
  const keys = createBoxKeyPair(randomBytes);
  const answers = async (command: CommandName, args: string): Promise<Command> => {
    taker.send(serving.nick, command, args);
    const answer = await Promise.race([taker.next('privmsg'), atOtherPeer]);
    if ('line' in answer) throw new Error(`another peer has it: ${answer.line}`);
    return answer.commands[0];
  };
  const pubkey = await answers('fill', fillOf(keys.publicKeyHex, podle.commitment));
  t.equal(pubkey.name, 'pubkey');
  const box = openBoxSession(keys, pubkey.args[0] ?? '');
  if (!box.ok) throw new Error(box.reason);
  const proof = box.value.encrypt(formatRevelation(podle.revelation), randomBytes);
  t.match(await answers('auth', proof), { name: 'ioauth' });
});
