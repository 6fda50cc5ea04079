/**
 * Peers without a full node (`neutrino_compat`; docs/protocol.md, sections 9.4 and 9.5) over loopback
 * sockets. The other side is driven by hand, and the test parses its texts itself.
 */
import { randomBytes } from 'node:crypto';
import t, { type Test } from 'tap';
import { silentLog } from '../../src/channel/log.js';
import { runCoinjoin } from '../../src/negotiation/taker/coinjoin.js';
import {
  DEFAULT_MAKER_POLICY,
  type MakerOutcome,
  type MakerPolicy,
} from '../../src/negotiation/maker/api.js';
import type { TakerChain, TakerWallet } from '../../src/negotiation/ports.js';
import { DEFAULT_TAKER_POLICY, type RoundResult } from '../../src/negotiation/taker/api.js';
import { formatSignatureText } from '../../src/negotiation/payloads.js';
import { addressScript } from '../../src/bitcoin/address.js';
import { buildUnsigned, parseUnsigned } from '../../src/negotiation/transaction.js';
import { systemClock } from '../../src/overlay/system-clock.js';
import {
  createBoxKeyPair,
  openBoxSession,
  type BoxSession,
} from '../../src/protocol/encryption.js';
import type { CommandName } from '../../src/protocol/commands.js';
import { formatPeerHandshake } from '../../src/protocol/handshake.js';
import { formatLocation } from '../../src/protocol/location.js';
import { formatPrivmsg, parseRoute, verifyPrivmsg } from '../../src/protocol/message.js';
import { nickKey } from '../../src/protocol/nick.js';
import type { Offer } from '../../src/protocol/offer.js';
import { createPodle } from '../../src/protocol/podle.js';
import { startMaker } from '../../src/roles/maker.js';
import {
  openLiveTestChannel,
  type LiveTestChannel,
  type LiveTestChannelOptions,
} from '../helpers/test-channel.js';
import {
  createMakerWallet,
  createMemoryChain,
  createMemoryCommitments,
  createTakerWallet,
  addressOf,
  lightView,
  mintFor,
  secretOf,
  TIP_HEIGHT,
  type MemoryChain,
} from '../helpers/coinjoin-world.js';
import { serveDirectory } from '../helpers/directory-service.js';
import { startFakeDirectory } from '../helpers/fake-directory.js';
import { LOOPBACK } from '../channel/compliance.js';
import { dialRaw, serveRaw } from '../helpers/raw-peer.js';

const AMOUNT = 1_000_000;
const OFFER: Offer = {
  type: 'sw0reloffer',
  oid: 0,
  minsize: 27_300,
  maxsize: 500_000_000,
  txfee: 100,
  cjfee: '0.001',
};
/** All coins of these tests have 100 confirmations. */
const HEIGHT = TIP_HEIGHT - 99;
const scriptOf = (address: string): string => addressScript('signet', address) ?? '';
const faultOf = (result: RoundResult) => result.makers[0]?.failure;
const bare = (name: string): string => name.split(':').slice(0, 2).join(':');
const verified = (payload: string) => {
  const route = parseRoute(payload);
  if (!route.ok || route.value.to === undefined) throw new Error('a private message');
  const { from, to, text } = route.value;
  return verifyPrivmsg(from, to, text);
};

const LONG = /^[0-9a-f]{64}:\d+:[0-9a-f]+:\d+$/;
const SHORT = /^[0-9a-f]{64}:\d+$/;

async function openWorld(t: Test) {
  const directory = await serveDirectory(t, LOOPBACK.server(), systemClock, 'J5directoryOOOOO');
  const open = async (
    name: string,
    options: LiveTestChannelOptions = {},
  ): Promise<LiveTestChannel> => {
    const channel = openLiveTestChannel([directory.location], {
      overlay: LOOPBACK.server(),
      nickKey: nickKey(secretOf(name)),
      ...options,
    });
    t.teardown(() => channel.close());
    await channel.next('welcome');
    return channel;
  };
  return { chain: createMemoryChain(), directory, open };
}

/** The arguments of the next private message with this command. */
async function hear(
  channel: LiveTestChannel,
  ...names: readonly string[]
): Promise<readonly string[]> {
  for (;;) {
    // oxlint-disable-next-line no-await-in-loop -- messages come one after the other
    const { commands } = await channel.next('privmsg');
    if (names.includes(commands[0].name)) return commands[0].args;
  }
}

/** Sends a message to a nick as soon as there is a route to it. */
async function say(channel: LiveTestChannel, to: string, command: CommandName, args: string) {
  while (!channel.send(to, command, args).sent) {
    // oxlint-disable-next-line no-await-in-loop
    await channel.next('pubmsg');
  }
}

function boxOf(keys: Parameters<typeof openBoxSession>[0], peerKey: string): BoxSession {
  const box = openBoxSession(keys, peerKey);
  if (!box.ok) throw new Error(box.reason);
  return box.value;
}

function opened(box: BoxSession, args: readonly string[]): string {
  const text = box.decrypt(args);
  if (!text.ok) throw new Error(text.reason);
  return text.value;
}

/** An onionmc maker on this chain, and a hand-driven taker whose fill it has answered. */
async function ourMaker(
  t: Test,
  view: (chain: MemoryChain) => TakerChain = (chain) => chain,
  policy: Partial<MakerPolicy> = {},
) {
  const { chain, open, directory } = await openWorld(t);
  const channel = await open('maker', { serve: true });
  const outcomes: MakerOutcome[] = [];
  const wallet = createMakerWallet('maker', mintFor(chain, 'maker', [700_000, 900_000]));
  const maker = startMaker({
    channel,
    offers: [OFFER],
    clock: systemClock,
    log: silentLog,
    blacklist: { store: createMemoryCommitments() },
    coinjoins: {
      network: 'signet',
      wallet,
      chain: view(chain),
      policy,
      onOutcome: (_, outcome) => outcomes.push(outcome),
    },
  });
  t.teardown(() => maker.stop());
  maker.announce();
  const taker = await open('taker');
  const [coin] = mintFor(chain, 'taker', [1_500_000]);
  if (coin === undefined) throw new Error('a coin');
  const { commitment, revelation } = createPodle(coin.secret, coin, 0);
  const keys = createBoxKeyPair(randomBytes);
  maker.announce();
  await taker.next('pubmsg');
  const { nick } = channel;
  await say(taker, nick, 'fill', `0 ${AMOUNT} ${keys.publicKeyHex} P${commitment}`);
  const [makerKey = '', ...more] = await hear(taker, 'pubkey');
  const box = boxOf(keys, makerKey);
  const { p, p2, s, e } = revelation;
  return {
    chain,
    coin,
    taker,
    nick,
    more,
    outcomes,
    directory,
    /** Proves the coin under this name; resolves with the maker's answer. */
    prove: async (name: string): Promise<readonly string[]> => {
      const text = [name, p, p2, s, e].join('|');
      taker.send(nick, 'auth', box.encrypt(text, randomBytes));
      const answer = await hear(taker, 'ioauth', 'error');
      return answer.length === 1 ? opened(box, answer).split(' ') : answer;
    },
    sendTransaction: (bytes: Uint8Array): void => {
      const text = Buffer.from(bytes).toString('base64');
      taker.send(nick, 'tx', box.encrypt(text, randomBytes));
    },
  };
}

t.test('our maker with a light taker', async (t) => {
  const scene = await ourMaker(t);
  const { coin, chain } = scene;
  t.strictSame(scene.more, ['features=neutrino_compat'], 'offered with the key');
  const [list = '', , coinjoinAddress = '', changeAddress = ''] = await scene.prove(
    `${coin.txid}:${coin.vout}:${coin.script}:${HEIGHT}`,
  );
  const names = list.split(',');
  t.equal(names.length, 2);
  for (const name of names) t.match(name, LONG);
  // The taker finds each coin only where the maker says.
  const named = names.map((name) => {
    const [txid = '', vout = '', scriptPubKeyHex = '', blockHeight = ''] = name.split(':');
    const metadata = { scriptPubKeyHex, blockHeight: Number(blockHeight) };
    return { txid, vout: Number(vout), metadata };
  });
  const { signal } = new AbortController();
  const found = await lightView(chain).coins(named, signal);
  t.equal(
    found.reduce((sum, one) => sum + (one?.value ?? NaN), 0),
    1_600_000,
  );

  const sequence = 0xffff_fffe;
  const unsigned = buildUnsigned(
    [...named, coin].map(({ txid, vout }) => ({ txid, vout, sequence })),
    [
      { script: scriptOf(coinjoinAddress), value: AMOUNT },
      { script: scriptOf(changeAddress), value: 1_600_000 - AMOUNT - 100 + 1_000 },
      { script: scriptOf(addressOf('taker coinjoin')), value: AMOUNT },
      { script: scriptOf(addressOf('taker change')), value: 1_500_000 - AMOUNT - 3_000 },
    ],
    0,
  );
  if (!unsigned.ok) throw new Error(unsigned.reason);
  scene.sendTransaction(unsigned.value.bytes);
  for (const name of names) t.equal((await hear(scene.taker, 'sig')).length, 1, name);
});

t.test('the feature is listed by directories', async (t) => {
  const { directory, nick, taker } = await ourMaker(t);
  const peer = await dialRaw(directory.location);
  t.teardown(() => peer.end());
  const hello = {
    'app-name': 'joinmarket',
    directory: false,
    'location-string': 'NOT-SERVING-ONION',
    'proto-ver': 5,
    features: { peerlist_features: true },
    nick: 'J5strangerOOOOOO',
    network: 'signet',
  };
  peer.send(793, JSON.stringify(hello));
  peer.send(791, '');
  const { line } = await peer.nextOf(789);
  const entry = line.split(',').find((text) => text.startsWith(nick));
  t.match(entry, /;F:neutrino_compat\+/);
  const watcher = openLiveTestChannel([directory.location], {
    passive: true,
    nickKey: nickKey(secretOf('watcher')),
  });
  t.teardown(() => watcher.close());
  await watcher.next('welcome');
  peer.send(791, '');
  const list = await peer.nextOf(789);
  const passive = list.line.split(',').find((text) => text.startsWith(watcher.nick));
  t.notMatch(passive, /neutrino_compat/, 'a peer without coinjoins offers no feature');
  t.ok(taker.peer(nick)?.features.includes('neutrino_compat'));
});

t.test('the features of a direct link are known as long as the link may be used', async (t) => {
  const directory = await startFakeDirectory();
  const maker = await serveRaw();
  const { nick } = nickKey(secretOf('maker'));
  const { location } = maker;
  const channel = openLiveTestChannel([directory.location]);
  t.teardown(() => Promise.all([channel.close(), directory.close(), maker.close()]));
  const session = await directory.acceptHandshake();
  session.send(789, `${nick};${formatLocation(location)}`);
  session.pubmsg(nick, `hp2 ${'ab'.repeat(32)}`);
  await channel.next('pubmsg');
  t.strictSame(channel.peer(nick)?.features, []);
  const linking = channel.connectTo(nick);
  const peer = await maker.accept();
  const features = ['neutrino_compat', 'ping'];
  peer.send(793, formatPeerHandshake({ nick, location, network: 'signet', features }));
  t.equal(await linking, true);
  t.strictSame(channel.peer(nick)?.features, features);
  peer.cut();
  await channel.next('direct-down');
  t.strictSame(channel.peer(nick)?.features, []);
});

t.test('our maker with a taker that names only its coin', async (t) => {
  const { coin, prove, outcomes } = await ourMaker(t);
  const [list = ''] = await prove(`${coin.txid}:${coin.vout}`);
  for (const name of list.split(',')) t.match(name, SHORT, 'the original refuses any other form');
  t.strictSame(outcomes, []);
});

t.test('a maker with the feature off', async (t) => {
  const { coin, prove, more } = await ourMaker(t, undefined, { neutrinoCompat: false });
  t.strictSame(more, []);
  const [list = ''] = await prove(`${coin.txid}:${coin.vout}:${coin.script}:${HEIGHT}`);
  for (const name of list.split(',')) t.match(name, SHORT);
});

t.test('a wrong script or height', async (t) => {
  const other = `0014${'ab'.repeat(20)}`;
  const full = await ourMaker(t);
  const name = `${full.coin.txid}:${full.coin.vout}`;
  for (const [text, reason] of [
    [`${name}:${other}:${HEIGHT}`, 'has another script'],
    [`${name}:${full.coin.script}:${HEIGHT + 1}`, `is in block ${HEIGHT}, not ${HEIGHT + 1}`],
    [`${name}:${full.coin.script}:0`, `is in block ${HEIGHT}, not 0`],
  ] as const) {
    t.match((await full.prove(text)).join(' '), `${name} ${reason}`);
  }
  t.match(full.outcomes, [{ by: 'taker', fault: 'coin-metadata' }]);

  // A maker without a full node accepts only a coin that it found.
  for (const more of ['', `:${full.coin.script}:${HEIGHT + 1}`, `:${other}:${HEIGHT}`]) {
    const light = await ourMaker(t, lightView);
    const lightName = `${light.coin.txid}:${light.coin.vout}`;
    const answer = await light.prove(lightName + more);
    t.match(answer.join(' '), `${lightName} does not exist or is spent`);
  }
  const honest = await ourMaker(t, lightView);
  const [list = ''] = await honest.prove(
    `${honest.coin.txid}:${honest.coin.vout}:${honest.coin.script}:${HEIGHT}`,
  );
  t.equal(list.split(',').length, 2);
});

interface HandMaker {
  /** The arguments after the key in `pubkey`. */
  readonly features?: string | undefined;
  /** Changes the names of its coins in `ioauth`. */
  readonly rename?: (name: string) => string;
}

/** Our taker, and one hand-driven maker that sees the chain through a light client. */
async function ourTaker(
  t: Test,
  { features, rename = (name) => name }: HandMaker,
  view: (chain: MemoryChain) => TakerChain = (chain) => chain,
  dress: (wallet: TakerWallet) => TakerWallet = (wallet) => wallet,
): Promise<{ readonly result: RoundResult; readonly name: string; readonly listed: boolean }> {
  const { chain, open } = await openWorld(t);
  const channel = await open('maker', { serve: true });
  const taker = await open('taker');
  channel.publish('sw0reloffer 0 27300 500000000 100 0.001');
  await taker.next('pubmsg');
  const wallet = createMakerWallet('maker', mintFor(chain, 'maker', [700_000, 900_000]));
  const { signal } = new AbortController();
  let name = '';

  async function serve(): Promise<void> {
    const keys = createBoxKeyPair(randomBytes);
    const [, , takerKey = ''] = await hear(channel, 'fill');
    const box = boxOf(keys, takerKey);
    const answer = (command: CommandName, text: string): void => {
      channel.send(taker.nick, command, box.encrypt(text, randomBytes));
    };
    const words = features === undefined ? keys.publicKeyHex : `${keys.publicKeyHex} ${features}`;
    channel.send(taker.nick, 'pubkey', words);
    [name = ''] = opened(box, await hear(channel, 'auth')).split('|');
    const reservation = await wallet.reserve(
      { offer: OFFER, amount: AMOUNT, least: 1_028_000, boxPublicKey: keys.publicKeyHex },
      signal,
    );
    if (reservation === undefined) throw new Error('a reservation');
    const { coins, authPublicKey, coinjoinAddress, changeAddress, authSignature } = reservation;
    const names = coins.map(({ txid, vout, script }) =>
      rename(`${txid}:${vout}:${script}:${HEIGHT}`),
    );
    const ioauth = [names.join(','), authPublicKey, coinjoinAddress, changeAddress, authSignature];
    answer('ioauth', ioauth.join(' '));
    const tx = parseUnsigned(Buffer.from(opened(box, await hear(channel, 'tx')), 'base64'));
    if (!tx.ok) throw new Error(tx.reason);
    const { txid, bytes } = tx.value;
    const inputs = tx.value.inputs.flatMap((input, index) => {
      const coin = coins.find((own) => own.txid === input.txid && own.vout === input.vout);
      return coin === undefined ? [] : [{ index, coin }];
    });
    const signatures = await wallet.sign({ transaction: bytes, txid, inputs }, signal);
    for (const [n, signature] of signatures.entries()) {
      const spent = inputs[n]?.coin;
      if (spent !== undefined) answer('sig', formatSignatureText(signature, spent));
    }
  }
  const serving = serve();
  // When the round has ended, the message that it waits for never comes.
  serving.catch(() => {});
  const result = await runCoinjoin({
    channel: taker,
    network: 'signet',
    wallet: dress(createTakerWallet('taker', mintFor(chain, 'taker', [1_500_000]))),
    chain: view(chain),
    commitments: createMemoryCommitments(),
    amount: AMOUNT,
    makers: 1,
    candidates: [{ nick: channel.nick, offer: OFFER }],
    policy: { minimumMakers: 1, broadcast: 'self', maxCjFeeAbs: 1_000 },
    clock: systemClock,
    randomBytes,
    log: silentLog,
  });
  if (result.ok) await serving;
  const listed = taker.peer(channel.nick)?.features.includes('neutrino_compat') ?? false;
  return { result, name, listed };
}

/** A wallet of a light client: it knows the block and script of its own coins. */
const knowing = (wallet: TakerWallet): TakerWallet => ({
  ...wallet,
  async commit(amount, signal) {
    const podle = await wallet.commit(amount, signal);
    if (podle === undefined) return undefined;
    const { revelation } = podle;
    const [coin] = mintFor(createMemoryChain(), 'taker', [1_500_000]);
    const metadata = { scriptPubKeyHex: coin?.script ?? '', blockHeight: HEIGHT };
    const utxo = { txid: revelation.utxo.txid, vout: revelation.utxo.vout, metadata };
    return { ...podle, revelation: { ...revelation, utxo } };
  },
});

t.test('our taker with a light maker', async (t) => {
  const { result, name } = await ourTaker(t, { features: 'features=neutrino_compat' });
  t.match(result, { ok: true });
  t.match(name, LONG, 'our chain knows the script and height for the maker');
  t.match(name, new RegExp(`:${HEIGHT}$`));

  const light = await ourTaker(t, { features: 'features=a,neutrino_compat' }, lightView, knowing);
  t.match(light.result, { ok: true }, 'both without a full node');
  t.match(light.name, LONG);
});

t.test('our taker with a maker that did not offer it with its key', async (t) => {
  for (const features of [undefined, 'features=other', 'neutrino_compat']) {
    const { result, name, listed } = await ourTaker(t, { features });
    t.match(name, SHORT, 'a directory lists it, which proves nothing');
    t.ok(listed);
    t.match(result, { ok: true }, 'coins in the long form are read nevertheless');
  }
});

t.test('a maker with a wrong script or height', async (t) => {
  const features = 'features=neutrino_compat';
  for (const rename of [
    (name: string) => name.replace(/:[0-9a-f]+:(\d+)$/, `:0014${'ab'.repeat(20)}:$1`),
    (name: string) => name.replace(/\d+$/, '1'),
  ]) {
    const { result } = await ourTaker(t, { features, rename });
    t.match(faultOf(result), { step: 'coins', fault: 'coin-metadata' });
    const light = await ourTaker(t, { features, rename }, lightView, knowing);
    t.match(faultOf(light.result), { step: 'coins', fault: 'coin-missing' });
  }
  const short = await ourTaker(t, { features, rename: bare }, lightView, knowing);
  t.match(faultOf(short.result), { step: 'coins', fault: 'coin-missing' });
  t.match((await ourTaker(t, { features, rename: bare })).result, { ok: true });
});

t.test('a relay can neither add nor remove the feature', (t) => {
  const key = nickKey(secretOf('maker'));
  const { publicKeyHex } = createBoxKeyPair(randomBytes);
  const suffix = ' features=neutrino_compat';
  const offering = formatPrivmsg(key, 'J5taker', 'pubkey', publicKeyHex + suffix);
  const silent = formatPrivmsg(key, 'J5taker', 'pubkey', publicKeyHex);
  t.match(verified(offering), { ok: true });
  t.match(verified(silent), { ok: true });
  const forged = { ok: false, reason: 'privmsg-signature' };
  t.strictSame(verified(offering.replace(suffix, '')), forged);
  t.strictSame(verified(silent.replace(publicKeyHex, publicKeyHex + suffix)), forged);
  t.end();
});

t.test('both sides offer the feature by default', (t) => {
  t.equal(DEFAULT_MAKER_POLICY.neutrinoCompat, true);
  t.equal(DEFAULT_TAKER_POLICY.neutrinoCompat, true);
  t.end();
});
