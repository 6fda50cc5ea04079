/**
 * The recorded client side of genuine takers, replayed at the wallet-backed maker.
 *
 * Replayed byte for byte: the 793 of the original's taker in each of the 41 runs of s13 (its only lines there);
 * the `orderbook` and a signed `fill` of the original's taker in s06; the `fill`, and the plaintext of
 * the `auth`, of the vectors of docs/protocol.md (16.3, 16.6), which the original verified.
 *
 * Substituted: the nick of the addressee, which no signature covers (the recorded makers had other keys); the box
 * of the `auth`, since a maker has a fresh key in each session; the chain's answer about the coin of the vectors,
 * which is on no chain; the `tx`, since it must spend this maker's coins. s13 records no `auth` and no `tx`.
 */
import { hexToBytes } from '@noble/hashes/utils.js';
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import t from 'tap';
import { addressScript } from '../../src/bitcoin/address.js';
import { p2wpkh } from '../../src/bitcoin/script.js';
import { silentLog } from '../../src/channel/log.js';
import { MemoryChain } from '../../src/chain/memory.js';
import { WalletMaker } from '../../src/maker/wallet-maker.js';
import {
  formatTransactionText,
  parseIoAuth,
  parseSignatureText,
} from '../../src/negotiation/payloads.js';
import { buildUnsigned, signatureFits } from '../../src/negotiation/transaction.js';
import { systemClock } from '../../src/overlay/system-clock.js';
import { boxKeyPair, openBoxSession } from '../../src/protocol/encryption.js';
import { verifyText } from '../../src/protocol/signature.js';
import { nickKey } from '../../src/protocol/nick.js';
import { formatPrivmsg } from '../../src/protocol/message.js';
import type { Offer } from '../../src/protocol/offer.js';
import { startMaker } from '../../src/roles/maker.js';
import { createMemoryCommitments } from '../helpers/coinjoin-world.js';
import { startFakeDirectory } from '../helpers/fake-directory.js';
import { dialRaw } from '../helpers/raw-peer.js';
import { openLiveTestChannel } from '../helpers/test-channel.js';
import { createWalletWorld } from '../helpers/wallet-world.js';

const SIGNET = 'signet';
const bytesOf = (hex: string): Uint8Array => hexToBytes(hex);
const OFFER: Offer = {
  type: 'sw0reloffer',
  oid: 0,
  minsize: 50_000,
  maxsize: 5_000_000,
  txfee: 0,
  cjfee: '0.000200',
};
/** Of the offer, for the amount of the vector. */
const AMOUNT = 100_000;
const FEE = 20;

interface Entry {
  readonly kind: string;
  readonly conn?: string;
  readonly dir?: string;
  readonly data?: string;
}

/** The whole lines that the connecting side of a recording sent, by connection. */
async function sentBy(name: string): Promise<ReadonlyMap<string, readonly string[]>> {
  const text = await readFile(new URL(`../transcripts/${name}.jsonl`, import.meta.url), 'utf8');
  const streams = new Map<string, string>();
  for (const line of text.trim().split('\n')) {
    const entry: Entry = JSON.parse(line);
    if (entry.kind !== 'data' || entry.dir !== 'c2s' || entry.data === undefined) continue;
    const conn = entry.conn ?? '';
    streams.set(conn, (streams.get(conn) ?? '') + entry.data);
  }
  return new Map([...streams].map(([conn, stream]) => [conn, stream.split(/(?<=\n)/)]));
}

const vectors: {
  readonly privmsgFill: {
    readonly line: string;
    readonly takerKey: string;
    readonly makerKey: string;
  };
  readonly podle: {
    readonly key: string;
    readonly utxo: string;
    readonly p: string;
    readonly rows: readonly { readonly p2: string; readonly s: string; readonly e: string }[];
  };
  readonly box: { readonly secretA: string };
} = JSON.parse(await readFile(new URL('../vectors/protocol.json', import.meta.url), 'utf8'));

t.test('genuine takers are understood by a maker with a wallet', async (t) => {
  const chain = new MemoryChain({ network: SIGNET });
  const world = await createWalletWorld({ network: SIGNET }, chain);
  const { script } = await world.wallet.handOut({ mixdepth: 1, purpose: 'deposit' });
  chain.pay(script, 3_000_000);
  chain.mine(6);
  await world.sync();
  // The coin of the vectors is on no chain: this answer is substituted.
  const proven = { script: p2wpkh(bytesOf(vectors.podle.p)), value: 50_000, confirmations: 10 };
  const coinsOf = chain.coins.bind(chain);
  Object.assign(chain, {
    coins: async (names: Parameters<typeof coinsOf>[0], signal?: AbortSignal) => {
      const found = await coinsOf(names, signal);
      return names.map(({ txid, vout }, n) =>
        `${txid}:${vout}` === vectors.podle.utxo ? proven : found[n],
      );
    },
  });
  const directory = await startFakeDirectory();
  t.teardown(() => directory.close());
  const channel = openLiveTestChannel([directory.location], {
    serve: true,
    nickKey: nickKey(bytesOf(vectors.privmsgFill.makerKey)),
  });
  t.teardown(() => channel.close());
  const location = await channel.next('served');
  await directory.acceptHandshake();
  await channel.next('welcome');
  const wallet = new WalletMaker({
    wallet: world.wallet,
    chain,
    log: silentLog,
    unixTime: () => world.now,
  });
  const maker = startMaker({
    channel,
    offers: [OFFER],
    clock: systemClock,
    log: silentLog,
    requestLimits: { orderbookPerLink: 100, orderbookTotal: 100 },
    blacklist: { store: createMemoryCommitments() },
    coinjoins: { network: SIGNET, wallet, chain },
  });
  t.teardown(() => maker.stop());
  const { nick } = channel;
  t.equal(nick, 'J52N8GdNkKtMA6TW', 'the maker of the vectors');
  const signed = (to: string, words: string): RegExp =>
    new RegExp(`^${nick}!${to}!${words} 0[23][0-9a-f]{64} [A-Za-z0-9+/]+=*$`);
  const offer = 'sw0reloffer 0 50000 5000000 0 0.000200';

  await t.test('s13: the 793 of each of the 41 runs, then orderbook', async (t) => {
    const takers = await sentBy('s13_client_side_of_the_reference');
    let answered = 0;
    for (const lines of takers.values()) {
      const [handshake = ''] = lines;
      const said: { readonly type: number; readonly line: string } = JSON.parse(handshake);
      if (said.type !== 793) continue;
      const { nick: taker }: { readonly nick: string } = JSON.parse(said.line);
      const peer = await dialRaw(location);
      peer.raw(handshake);
      const answer = await peer.nextOf(793);
      const { network, 'app-name': app }: Record<string, unknown> = JSON.parse(answer.line);
      if (network !== SIGNET || app !== 'joinmarket') t.fail(answer.line);
      peer.send(687, `${taker}!PUBLIC!orderbook`);
      const { line } = await peer.nextOf(685);
      if (signed(taker, offer).test(line)) answered += 1;
      else t.fail(line);
      peer.cut();
    }
    t.equal(answered, takers.size);
    t.equal(takers.size, 41);
  });

  await t.test('s06: the orderbook and the fills of a genuine taker', async (t) => {
    const lines = (await sentBy('s06_direct_peer_to_peer')).get('taker->dir#1') ?? [];
    const [handshake = '', ...more] = lines;
    const taker = 'J54ZTGBtkwHT2peV';
    const peer = await dialRaw(location);
    peer.raw(handshake);
    await peer.nextOf(793);
    const asked = more.find((line) => line.includes('!PUBLIC!orderbook')) ?? '';
    peer.raw(asked);
    t.match((await peer.nextOf(685)).line, signed(taker, offer));
    const fills = more.filter((line) => line.includes('!fill '));
    t.ok(fills.length > 0);
    // Signed by the genuine taker; its key and its commitment are placeholders ("aabbcc", "Pdd").
    peer.raw((fills[0] ?? '').replace('J522DFcripZgL71x', nick));
    t.match((await peer.nextOf(685)).line, signed(taker, 'error bad fill: [^!]+'));
    peer.cut();
  });

  await t.test(
    'the vectors: fill and auth that the original verified, up to the signatures',
    async (t) => {
      const taker = 'J59cTYvZJZEbjWk4';
      const key = nickKey(bytesOf(vectors.privmsgFill.takerKey));
      const [first = ''] =
        [...(await sentBy('s13_client_side_of_the_reference')).values()][0] ?? [];
      const peer = await dialRaw(location);
      peer.raw(first.replace(/J5[1-9A-HJ-NP-Za-km-z]{14}/, taker));
      await peer.nextOf(793);
      peer.raw(`${vectors.privmsgFill.line}\r\n`);
      const pubkey = (await peer.nextOf(685)).line;
      t.match(pubkey, signed(taker, 'pubkey [0-9a-f]{64} features=neutrino_compat'));
      const makerKey = /!pubkey ([0-9a-f]{64})/.exec(pubkey)?.[1] ?? '';
      const box = openBoxSession(boxKeyPair(bytesOf(vectors.box.secretA)), makerKey);
      if (!box.ok) throw new Error(box.reason);
      const say = (command: string, text: string): void =>
        peer.send(685, formatPrivmsg(key, nick, command, box.value.encrypt(text, randomBytes)));
      const heard = async (command: string): Promise<string> => {
        const { line } = await peer.nextOf(685);
        t.match(line, signed(taker, `${command} [A-Za-z0-9+/]+=*`));
        const text = box.value.decrypt([line.split(' ')[1] ?? '']);
        if (!text.ok) throw new Error(`${line}: ${text.reason}`);
        return text.value;
      };

      const { utxo, p, rows } = vectors.podle;
      const { p2 = '', s = '', e = '' } = rows[0] ?? {};
      say('auth', [utxo, p, p2, s, e].join('|'));
      const io = parseIoAuth(await heard('ioauth'));
      if (!io.ok) throw new Error(io.reason);
      const { coins, authPublicKey, coinjoinAddress, changeAddress, signature } = io.value;
      t.ok(verifyText(makerKey, authPublicKey, signature), 'the coin signs the key of the box');
      const [coin] = coins;
      const own = world.wallet.coins()[0];
      if (coin === undefined || own === undefined) throw new Error('no coin');
      t.match(coin, { txid: own.txid, vout: own.vout });
      t.notOk(coin.metadata, 'the plain form, as the taker used it');
      t.equal(p2wpkh(bytesOf(authPublicKey)), own.script);

      const change = own.value - AMOUNT + FEE;
      const tx = buildUnsigned(
        [
          { txid: own.txid, vout: own.vout, sequence: 0xffff_fffe },
          { txid: 'aa'.repeat(32), vout: 7, sequence: 0xffff_fffe },
        ],
        [
          { script: addressScript(SIGNET, coinjoinAddress) ?? '', value: AMOUNT },
          { script: addressScript(SIGNET, changeAddress) ?? '', value: change },
          { script: `0014${'33'.repeat(20)}`, value: AMOUNT },
        ],
        0,
      );
      if (!tx.ok) throw new Error(tx.reason);
      say('tx', formatTransactionText(tx.value.bytes));
      const sig = parseSignatureText(await heard('sig'));
      if (!sig.ok) throw new Error(sig.reason);
      t.ok(signatureFits(tx.value, 0, own, sig.value), 'valid, with SIGHASH_ALL');
      t.match(world.wallet.coinjoins(), [{ state: 'pending', amount: AMOUNT, earned: FEE }]);
      peer.cut();
    },
  );
  await wallet.idle();
});
