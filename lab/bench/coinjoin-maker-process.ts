/** One maker with an onion of its own, in a process of its own. */
import { silentLog } from '../../src/channel/log.js';
import type { OnionMessageChannel } from '../../src/channel/message-channel.js';
import { openChannel } from '../../src/roles/library.js';
import { systemClock } from '../../src/overlay/system-clock.js';
import { createTorOverlay } from '../../src/overlay/tor.js';
import { startMaker } from '../../src/roles/maker.js';
import { connectControl } from '../../src/tor/control/client.js';
import {
  createMakerWallet,
  createMemoryCommitments,
  type TestCoin,
} from '../../test/helpers/coinjoin-world.js';
import { withParts } from '../../test/helpers/test-channel.js';
import { makerKey, NETWORK, OFFER, Scene, stampsOf } from './coinjoin-scene.js';
import { answerQuestions } from './process.js';

const [side = '', number = '', makers = '', socks = '', control = '', host = '', port = ''] =
  process.argv.slice(2);
const n = Number(number);
const channel = openChannel({
  network: NETWORK,
  directories: [{ kind: 'onion', host, port: Number(port) }],
  nickKey: makerKey(side, n),
  serve: true,
  clock: systemClock,
  random: Math.random,
  log: silentLog,
  overlay: createTorOverlay({
    socks: { kind: 'tcp', host: '127.0.0.1', port: Number(socks) },
    serving: {
      kind: 'control',
      identity: { kind: 'ephemeral' },
      listen: { host: '127.0.0.1', port: 0 },
      connectControl: (signal) =>
        connectControl({
          endpoint: { kind: 'tcp', host: '127.0.0.1', port: Number(control) },
          signal,
        }),
    },
  }),
});
const ready = new Promise<void>((resolve) => {
  channel.on('welcome', () => resolve());
});
const { stamps, sent } = stampsOf(channel);
const send: OnionMessageChannel['send'] = (to, command, ...more) => {
  const result = channel.send(to, command, ...more);
  sent(to, command);
  return result;
};
const scene = new Scene(Number(makers));
const coins: TestCoin[] = [];
const maker = startMaker({
  channel: withParts(channel, { send }),
  offers: [OFFER],
  clock: systemClock,
  log: silentLog,
  blacklist: { store: createMemoryCommitments() },
  coinjoins: {
    network: NETWORK,
    wallet: createMakerWallet(`maker ${n}`, coins),
    chain: scene.chain,
  },
});

answerQuestions(async (question) => {
  if (question === 'ready') return ready;
  if (question === 'round') {
    coins.splice(0, coins.length, ...(scene.next().makers[n] ?? []));
    stamps.length = 0;
    return null;
  }
  if (question === 'stamps') return stamps;
  if (question === 'stop') {
    maker.stop();
    return channel.close();
  }
  throw new Error(`unknown question: ${question}`);
});
