/**
 * A taker with one key that talks to a maker's sessions message by message, and may stop after any of them.
 * Its coin and signatures are real, so that a real node takes the transaction.
 */
import { secp256k1 } from '@noble/curves/secp256k1.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { concatBytes, utf8ToBytes } from '@noble/hashes/utils.js';
import { randomBytes } from 'node:crypto';
import { addressScript } from '../../src/bitcoin/address.js';
import { keyHashScript, p2wpkh } from '../../src/bitcoin/script.js';
import { SegwitHashes, SIGHASH_ALL } from '../../src/bitcoin/sighash.js';
import type { TransactionOutput } from '../../src/bitcoin/transaction.js';
import {
  formatFill,
  formatTransactionText,
  parseIoAuth,
  parseSignatureText,
  type IoAuth,
} from '../../src/negotiation/payloads.js';
import {
  assemble,
  buildUnsigned,
  type InputSignature,
  type UnsignedTransaction,
} from '../../src/negotiation/transaction.js';
import type { CommandName } from '../../src/protocol/commands.js';
import type { Network } from '../../src/protocol/constants.js';
import {
  createBoxKeyPair,
  openBoxSession,
  type BoxSession,
} from '../../src/protocol/encryption.js';
import { offerFee, type Offer } from '../../src/protocol/offer.js';
import { formatOutpoint, type Outpoint } from '../../src/protocol/outpoint.js';
import { createPodle, formatRevelation } from '../../src/protocol/podle.js';
import type { HeldMessage, MessageExchange } from './message-exchange.js';

/** A coin with its script. */
export interface ScriptCoin extends Outpoint {
  readonly script: string;
  readonly value: number;
}

/** What the maker named, or its refusal. */
export type Named =
  | { readonly ok: true; readonly io: IoAuth; readonly box: BoxSession }
  | { readonly ok: false; readonly refusal: string };

export interface DirectTakerOptions {
  readonly office: MessageExchange;
  readonly maker: string;
  readonly nick: string;
  readonly network?: Network;
}

export class DirectTaker {
  readonly #office: MessageExchange;
  readonly #maker: string;
  readonly #nick: string;
  readonly #network: Network;
  readonly #secret: Uint8Array;

  constructor({ office, maker, nick, network = 'regtest' }: DirectTakerOptions) {
    this.#office = office;
    this.#maker = maker;
    this.#nick = nick;
    this.#network = network;
    this.#secret = sha256(utf8ToBytes(`direct taker ${nick}`));
    office.open(nick);
  }

  /** Of its coins. */
  get script(): string {
    return p2wpkh(this.#publicKey);
  }

  get #publicKey(): Uint8Array {
    return secp256k1.getPublicKey(this.#secret, true);
  }

  /** From `fill` to `ioauth`. */
  async approach(amount: number, coin: Outpoint, index = 0): Promise<Named> {
    const keys = createBoxKeyPair(randomBytes);
    const { commitment, revelation } = createPodle(this.#secret, coin, index);
    const fill = formatFill({ oid: 0, amount, takerKey: keys.publicKeyHex, commitment });
    const [toFill] = await this.say('fill', fill, 1);
    const makerKey = toFill?.command === 'pubkey' ? (toFill.args.split(' ')[0] ?? '') : '';
    const box = openBoxSession(keys, makerKey);
    if (!box.ok) return { ok: false, refusal: toFill?.args ?? 'silent' };
    const proof = box.value.encrypt(formatRevelation(revelation), randomBytes);
    const [toAuth] = await this.say('auth', proof, 1);
    const text = box.value.decrypt([toAuth?.args ?? '']);
    const io = text.ok ? parseIoAuth(text.value) : text;
    if (!io.ok) return { ok: false, refusal: toAuth?.args ?? 'silent' };
    return { ok: true, io: io.value, box: box.value };
  }

  /** The transaction with this maker: its coins must be looked up by the caller. */
  transaction(
    { io }: Named & { readonly ok: true },
    {
      amount,
      offer,
      coin,
      makerCoins,
      minerFee = 2_000,
      short = 0,
    }: {
      readonly amount: number;
      readonly offer: Offer;
      readonly coin: ScriptCoin;
      readonly makerCoins: readonly ScriptCoin[];
      readonly minerFee?: number;
      /** Satoshi that the maker's change lacks. */
      readonly short?: number;
    },
  ): UnsignedTransaction {
    const earned = offerFee(offer, amount) - offer.txfee;
    const brought = makerCoins.reduce((sum, { value }) => sum + value, 0);
    const outputs: readonly TransactionOutput[] = [
      { script: this.script, value: amount },
      { script: this.#scriptOf(io.coinjoinAddress), value: amount },
      { script: this.#scriptOf(io.changeAddress), value: brought - amount + earned - short },
      { script: this.script, value: coin.value - amount - earned - minerFee + short },
    ];
    const inputs = [coin, ...makerCoins].map(({ txid, vout }) => ({
      txid,
      vout,
      sequence: 0xffff_fffe,
    }));
    const tx = buildUnsigned(inputs, outputs, 0);
    if (!tx.ok) throw new Error(tx.reason);
    return tx.value;
  }

  /** Asks for signatures. Resolves to the whole transaction, or to the maker's refusal. */
  async ask(
    { box }: Named & { readonly ok: true },
    tx: UnsignedTransaction,
    coin: ScriptCoin,
    makerCoins: readonly ScriptCoin[],
  ): Promise<{ readonly bytes: Uint8Array; readonly txid: string } | string> {
    const question = box.encrypt(formatTransactionText(tx.bytes), randomBytes);
    const answers = await this.say('tx', question, makerCoins.length);
    const signatures = answers.flatMap(({ command, args }) => {
      const text = command === 'sig' ? box.decrypt([args]) : undefined;
      const parsed = text?.ok === true ? parseSignatureText(text.value) : undefined;
      return parsed?.ok === true ? [parsed.value] : [];
    });
    if (signatures.length < makerCoins.length) return answers[0]?.args ?? 'silent';
    const own = this.#sign(tx, coin);
    const parts = tx.inputs.map((input) => {
      const at = makerCoins.findIndex((it) => formatOutpoint(it) === formatOutpoint(input));
      const spent = makerCoins[at] ?? coin;
      return { spent, signature: signatures[at] ?? own };
    });
    return assemble(tx, parts);
  }

  /** Asks the maker to broadcast. */
  async push(bytes: Uint8Array): Promise<void> {
    await this.say('push', formatTransactionText(bytes), 0);
    // A chain in memory takes it in this turn of the event loop.
    await new Promise((resolve) => setImmediate(resolve));
  }

  /** A transaction that spends the coin of this taker for something else. */
  spendElsewhere(coin: ScriptCoin, minerFee = 50_000): Uint8Array {
    const tx = buildUnsigned(
      [{ txid: coin.txid, vout: coin.vout, sequence: 0xffff_fffd }],
      [{ script: this.script, value: coin.value - minerFee }],
      0,
    );
    if (!tx.ok) throw new Error(tx.reason);
    return assemble(tx.value, [{ spent: coin, signature: this.#sign(tx.value, coin) }]).bytes;
  }

  /** Sends one message; resolves with so many answers, or with those up to a refusal. */
  async say(command: CommandName, args: string, answers: number): Promise<readonly HeldMessage[]> {
    this.#take();
    this.#office.deliver({ from: this.#nick, to: this.#maker, command, args });
    const found: HeldMessage[] = [...this.#take()];
    while (found.length < answers && !found.some((it) => it.command === 'error')) {
      // oxlint-disable-next-line no-await-in-loop -- message after message
      await this.#office.next();
      found.push(...this.#take());
    }
    return found;
  }

  /** Messages to this taker, which leave the exchange. */
  #take(): readonly HeldMessage[] {
    const { pending } = this.#office;
    const own = pending.filter(({ to }) => to === this.#nick);
    pending.splice(0, pending.length, ...pending.filter(({ to }) => to !== this.#nick));
    return own;
  }

  #sign(tx: UnsignedTransaction, coin: ScriptCoin): InputSignature {
    const publicKey = this.#publicKey;
    const index = tx.inputs.findIndex((it) => formatOutpoint(it) === formatOutpoint(coin));
    const hash = new SegwitHashes(tx).ofInput(index, keyHashScript(publicKey), coin.value);
    if (hash === undefined) throw new Error('the coin is not an input');
    const der = secp256k1.sign(hash, this.#secret, { prehash: false, format: 'der' });
    return { signature: concatBytes(der, Uint8Array.of(SIGHASH_ALL)), publicKey };
  }

  #scriptOf(address: string): string {
    const script = addressScript(this.#network, address);
    if (script === undefined) throw new Error(`no address of ${this.#network}: ${address}`);
    return script;
  }
}
