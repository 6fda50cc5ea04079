/**
 * A maker that plays by hand: with the coins and addresses of a real wallet, and one lie. It holds the keys
 * of the coins, so that it can sign what its wallet would refuse.
 */
import { secp256k1 } from '@noble/curves/secp256k1.js';
import { bytesToHex, concatBytes } from '@noble/hashes/utils.js';
import { Transaction } from '@scure/btc-signer/transaction.js';
import { randomBytes } from 'node:crypto';
import type { ReceivedPrivateMessage } from '../../../src/channel/channel-api.js';
import type { OnionMessageChannel } from '../../../src/channel/message-channel.js';
import { keyHashScript } from '../../../src/bitcoin/script.js';
import {
  formatIoAuth,
  formatSignatureText,
  parseFill,
  parseTransactionText,
  type FillTerms,
  type IoAuth,
} from '../../../src/negotiation/payloads.js';
import type { MakerWallet, OwnCoin, Reservation } from '../../../src/negotiation/ports.js';
import { parseUnsigned, type InputSignature } from '../../../src/negotiation/transaction.js';
import {
  createBoxKeyPair,
  openBoxSession,
  type BoxKeyPair,
  type BoxSession,
} from '../../../src/protocol/encryption.js';
import { DUST_THRESHOLD, offerFee, type Offer } from '../../../src/protocol/offer.js';
import { signText } from '../../../src/protocol/signature.js';
import type { Network } from '../../../src/protocol/constants.js';
import type { CommandName } from '../../../src/protocol/commands.js';
import type { IoAuthLie, Misbehaviour, SignatureLie } from './misbehaviour.js';
import type { PartyKeys } from './party-keys.js';

const CONFLICT_FEE = 2_000;
/** More coins than any maker may name. */
const TOO_MANY = 101;
const MISSING = 'ff'.repeat(32);
/** Of a stranger. */
export const LEGACY = 'mipcBbFg9gMiCh81Kj8tqqdgoZub1ZJRfn';
const OTHER_NETWORK = 'bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4';

/** Other parties' things that a liar may name as its own. */
export interface Loot {
  readonly coin: OwnCoin;
  readonly spent: { readonly txid: string; readonly vout: number };
  readonly address: string;
}

export interface DishonestParts {
  readonly channel: OnionMessageChannel;
  readonly network: Network;
  readonly wallet: MakerWallet;
  readonly keys: PartyKeys;
  readonly offers: readonly Offer[];
  readonly misbehaviour: Misbehaviour;
  readonly loot: Loot;
  /** Sends a transaction to the node. */
  readonly broadcast: (transaction: Uint8Array) => Promise<void>;
  /** Told before a transaction of its own is sent. */
  readonly onOwnSpend: (transaction: Uint8Array) => void;
  /** Script of an address of its own that is paid by it. */
  readonly refuge: string;
}

interface Session {
  readonly fill: FillTerms;
  readonly offer: Offer;
  readonly keys: BoxKeyPair;
  readonly box: BoxSession;
  reservation?: Reservation;
  settled?: true;
}

const flipped = (bytes: Uint8Array): Uint8Array =>
  bytes.map((byte, n) => (n === bytes.length - 3 ? byte ^ 1 : byte));

export class DishonestMaker {
  readonly #parts: DishonestParts;
  readonly #sessions = new Map<string, Session>();
  readonly #abort = new AbortController();
  readonly #busy = new Set<Promise<void>>();

  constructor(parts: DishonestParts) {
    this.#parts = parts;
  }

  /** One message of a taker. */
  receive({ from, commands: [{ name, args }] }: ReceivedPrivateMessage): void {
    const work = this.#answer(from, name, args).catch(() => undefined);
    this.#busy.add(work);
    void work.finally(() => this.#busy.delete(work));
  }

  /** Frees what it did not sign. */
  async stop(): Promise<void> {
    this.#abort.abort();
    await Promise.all(this.#busy);
    for (const session of this.#sessions.values()) this.#settle(session, 'unsigned');
    this.#sessions.clear();
  }

  async #answer(from: string, name: string, args: readonly string[]): Promise<void> {
    if (name === 'fill') this.#onFill(from, args);
    const session = this.#sessions.get(from);
    if (session === undefined) return;
    if (name === 'auth') await this.#onAuth(from, session, args);
    if (name === 'tx') await this.#onTx(from, session, args);
  }

  #say(to: string, command: CommandName, args: string): void {
    this.#parts.channel.send(to, command, args);
  }

  #onFill(from: string, args: readonly string[]): void {
    const fill = parseFill(args);
    const offer = fill.ok && this.#parts.offers.find(({ oid }) => oid === fill.value.oid);
    if (!fill.ok || !offer) return;
    const keys = createBoxKeyPair(randomBytes);
    const box = openBoxSession(keys, fill.value.takerKey);
    if (!box.ok) return;
    const before = this.#sessions.get(from);
    if (before !== undefined) this.#settle(before, 'unsigned');
    this.#sessions.set(from, { fill: fill.value, offer, keys, box: box.value });
    this.#say(from, 'pubkey', keys.publicKeyHex);
  }

  async #onAuth(from: string, session: Session, args: readonly string[]): Promise<void> {
    const { misbehaviour, wallet } = this.#parts;
    const { fill, offer, keys, box } = session;
    if (!box.decrypt(args).ok || session.reservation !== undefined) return;
    const fee = offerFee(offer, fill.amount);
    const least = fill.amount + offer.txfee + DUST_THRESHOLD - fee;
    const request = { offer, amount: fill.amount, least, boxPublicKey: keys.publicKeyHex };
    const reservation = await wallet.reserve(request, this.#abort.signal);
    if (reservation === undefined) {
      this.#say(from, 'error', 'amount out of range');
      return;
    }
    session.reservation = reservation;
    const honest: IoAuth = {
      coins: reservation.coins.map(({ txid, vout }) => ({ txid, vout })),
      authPublicKey: reservation.authPublicKey,
      coinjoinAddress: reservation.coinjoinAddress,
      changeAddress: reservation.changeAddress,
      signature: reservation.authSignature,
    };
    if (misbehaviour.kind === 'ioauth' && misbehaviour.lie === 'box-garbage') {
      this.#say(from, 'ioauth', Buffer.from(randomBytes(200)).toString('base64'));
      return;
    }
    const text =
      misbehaviour.kind === 'ioauth'
        ? this.#lied(misbehaviour.lie, honest, session)
        : formatIoAuth(honest);
    this.#say(from, 'ioauth', box.encrypt(text, randomBytes));
    if (misbehaviour.kind === 'spends' && misbehaviour.when === 'before-tx') {
      await this.#spend(reservation);
    }
  }

  #lied(lie: IoAuthLie, io: IoAuth, { keys, reservation }: Session): string {
    const { loot } = this.#parts;
    const [first, ...more] = io.coins;
    if (first === undefined || reservation === undefined) return 'nothing';
    const own = reservation.coins[0];
    const named = (coins: IoAuth['coins']): string => formatIoAuth({ ...io, coins });
    switch (lie) {
      case 'coin-missing':
        return named([{ txid: MISSING, vout: 0 }, ...more]);
      case 'coin-spent':
        return named([first, ...more, loot.spent]);
      case 'coin-foreign':
        return named([first, ...more, { txid: loot.coin.txid, vout: loot.coin.vout }]);
      case 'coin-twice':
        return named([first, first, ...more]);
      case 'coins-too-many':
        return named(Array.from({ length: TOO_MANY }, (_, vout) => ({ txid: MISSING, vout })));
      case 'coins-small':
        return named([{ txid: loot.coin.txid, vout: loot.coin.vout }]);
      case 'coin-metadata': {
        const metadata = { scriptPubKeyHex: loot.coin.script, blockHeight: 1 };
        return named([{ ...first, metadata }, ...more]);
      }
      case 'auth-key': {
        const secret = Uint8Array.from(randomBytes(32));
        const publicKey = bytesToHex(secp256k1.getPublicKey(secret, true));
        const signature = signText(keys.publicKeyHex, secret);
        return formatIoAuth({ ...io, authPublicKey: publicKey, signature });
      }
      case 'auth-signature': {
        const { secret } = this.#parts.keys.keysOf(own?.script ?? '');
        return formatIoAuth({ ...io, signature: signText('another text', secret) });
      }
      case 'address-garbage':
        return formatIoAuth({
          ...io,
          coinjoinAddress: 'bcrt1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq',
        });
      case 'address-network':
        return formatIoAuth({ ...io, changeAddress: OTHER_NETWORK });
      case 'address-legacy':
        return formatIoAuth({ ...io, coinjoinAddress: LEGACY });
      case 'address-same':
        return formatIoAuth({ ...io, changeAddress: io.coinjoinAddress });
      case 'address-foreign':
        return formatIoAuth({ ...io, coinjoinAddress: loot.address });
      case 'box-garbage':
      case 'text-garbage':
        return `${MISSING}:0 x y`;
    }
  }

  async #onTx(from: string, session: Session, args: readonly string[]): Promise<void> {
    const { misbehaviour, wallet } = this.#parts;
    const { box, reservation } = session;
    const text = box.decrypt(args);
    const bytes = text.ok ? parseTransactionText(text.value) : undefined;
    if (bytes === undefined || reservation === undefined) return;
    const tx = parseUnsigned(bytes);
    if (!tx.ok) return;
    const inputs = tx.value.inputs.flatMap(({ txid, vout }, index) => {
      const coin = reservation.coins.find((own) => own.txid === txid && own.vout === vout);
      return coin === undefined ? [] : [{ index, coin }];
    });
    const say = (signature: InputSignature, coin: OwnCoin): void =>
      this.#say(from, 'sig', box.encrypt(formatSignatureText(signature, coin), randomBytes));
    if (misbehaviour.kind === 'spends' && misbehaviour.when === 'after-signatures') {
      const request = { transaction: bytes, txid: tx.value.txid, inputs };
      const signatures = await wallet.sign(request, this.#abort.signal);
      this.#settle(session, 'signed');
      await this.#spend(reservation);
      signatures.forEach((signature, n) => {
        const coin = inputs[n]?.coin;
        if (coin !== undefined) say(signature, coin);
      });
      return;
    }
    const lie = misbehaviour.kind === 'signature' ? misbehaviour.lie : undefined;
    const kept = lie === 'signature-missing' ? inputs.slice(1) : inputs;
    for (const { index, coin } of kept) say(this.#signature(lie, bytes, index, coin), coin);
  }

  /** A signature by the key of the coin, past the wallet, with the lie. */
  #signature(
    lie: SignatureLie | undefined,
    bytes: Uint8Array,
    index: number,
    coin: OwnCoin,
  ): InputSignature {
    const own = this.#parts.keys.keysOf(coin.script);
    const secret = lie === 'signature-other-key' ? Uint8Array.from(randomBytes(32)) : own.secret;
    const publicKey = secp256k1.getPublicKey(secret, true);
    const type = lie === 'signature-sighash' ? 3 : 1;
    const tx = Transaction.fromRaw(bytes, { allowUnknownOutputs: true });
    const script = keyHashScript(publicKey);
    const hash = tx.preimageWitnessV0(index, script, type, BigInt(coin.value));
    const options = { prehash: false, format: 'compact', lowS: true } as const;
    const compact = secp256k1.sign(hash, secret, options);
    const parsed = secp256k1.Signature.fromBytes(compact, 'compact');
    const { r, s } = parsed;
    const high = new secp256k1.Signature(r, secp256k1.Point.Fn.ORDER - s);
    const der = (lie === 'signature-high-s' ? high : parsed).toBytes('der');
    const signature = concatBytes(der, Uint8Array.of(type));
    return { signature: lie === 'signature-garbage' ? flipped(signature) : signature, publicKey };
  }

  async #spend({ coins }: Reservation): Promise<void> {
    const { keys, refuge, broadcast, onOwnSpend } = this.#parts;
    const transaction = keys.spend(coins, refuge, CONFLICT_FEE);
    onOwnSpend(transaction);
    await broadcast(transaction);
  }

  #settle(session: Session, settlement: 'signed' | 'unsigned'): void {
    if (session.reservation === undefined || session.settled) return;
    session.settled = true;
    this.#parts.wallet.settle(session.reservation, settlement);
  }
}
