/** A taker that asks a maker once more, over real sockets. */
import { randomBytes } from 'node:crypto';
import t from 'tap';
import { silentLog } from '../../src/channel/log.js';
import { formatFill } from '../../src/negotiation/payloads.js';
import { systemClock } from '../../src/overlay/system-clock.js';
import type { Command } from '../../src/protocol/commands.js';
import { createBoxKeyPair, openBoxSession } from '../../src/protocol/encryption.js';
import { nickKey } from '../../src/protocol/nick.js';
import type { Offer } from '../../src/protocol/offer.js';
import { formatRevelation } from '../../src/protocol/podle.js';
import { startMaker } from '../../src/roles/maker.js';
import { anyPort, openLiveProbe, type LiveProbe } from '../helpers/channel-probe.js';
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

const AMOUNT = 1_000_000;
const OFFER: Offer = {
  type: 'sw0absoffer',
  oid: 0,
  minsize: 27_300,
  maxsize: 500_000_000,
  txfee: 100,
  cjfee: '1100',
};

/** A commitment that nobody has used. */
const secretText = (text: string): string => Buffer.from(secretOf(text)).toString('hex');

t.test('a second fill with a new key, and old ones said again', async (t) => {
  const directory = await serveDirectory(t, anyPort(), systemClock, 'J5directoryOOOOO');
  const open = async (name: string): Promise<LiveProbe> => {
    const key = nickKey(secretOf(name));
    const channel = openLiveProbe([directory.location], { nickKey: key });
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

  // Which of its two keys the taker goes on with, and which of ours it took for the answer.
  for (const [name, theirs, ours] of [
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
    // The old one comes again, from whoever kept it, and one with another commitment.
    taker.send(serving.nick, 'fill', fills[0] ?? '');
    taker.send(serving.nick, 'fill', (fills[0] ?? '').replace(commitment, secretText(name)));
    const own = keys[theirs];
    const box = openBoxSession(own ?? createBoxKeyPair(randomBytes), told[ours] ?? '');
    if (!box.ok) throw new Error(box.reason);
    taker.send(serving.nick, 'auth', box.value.encrypt(formatRevelation(revelation), randomBytes));
    let heard: Command = { name: 'pubkey', args: [] };
    while (heard.name !== 'ioauth') [heard] = (await taker.next('privmsg')).commands;
    t.pass(name);
    t.ok(box.value.decrypt(heard.args).ok, 'in the box that was opened');
    // Nothing said again ends what is proven.
    const last = (fills[1] ?? '').replace(commitment, secretText(`${name} once more`));
    t.match(await say('fill', last), [{ command: 'pubkey' }]);
    t.equal(wallet.record.settlements.length, 0);
  }

  // However often it asks, the maker keeps few of its keys.
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
    t.equal(maker.sessions - before, Math.min(n, 4), 'the oldest one makes room');
  }
});
