/** A maker without a state machine: a test decides what it says, and when. */
import { randomBytes } from 'node:crypto';
import {
  formatIoAuth,
  formatSignatureText,
  parseTransactionText,
} from '../../src/negotiation/payloads.js';
import { parseUnsigned } from '../../src/negotiation/transaction.js';
import {
  createBoxKeyPair,
  openBoxSession,
  type BoxKeyPair,
  type BoxSession,
} from '../../src/protocol/encryption.js';
import type { Offer } from '../../src/protocol/offer.js';
import { formatOutpoint } from '../../src/protocol/outpoint.js';
import { createMakerWallet, type TestCoin } from './coinjoin-world.js';
import type { HeldMessage } from './message-exchange.js';

/** The wallet of these tests does not look at it. */
const NO_OFFER: Offer = {
  type: 'sw0absoffer',
  oid: 0,
  minsize: 1,
  maxsize: 1,
  txfee: 0,
  cjfee: '0',
};
const AMOUNT_FIELD = 1;
const KEY_FIELD = 2;

export class PaperMaker {
  readonly nick: string;
  readonly coins: readonly TestCoin[];
  readonly #taker: string;
  readonly #keys: BoxKeyPair = createBoxKeyPair(randomBytes);
  #box: BoxSession | undefined;
  #amount = 0;

  constructor(nick: string, taker: string, coins: readonly TestCoin[]) {
    this.nick = nick;
    this.coins = coins;
    this.#taker = taker;
  }

  /** The messages of an honest maker in answer to this one. */
  async answer({ command, args }: HeldMessage): Promise<readonly HeldMessage[]> {
    if (command === 'fill') {
      const words = args.split(' ');
      this.#amount = Number(words[AMOUNT_FIELD]);
      const box = openBoxSession(this.#keys, words[KEY_FIELD] ?? '');
      if (!box.ok) throw new Error(box.reason);
      this.#box = box.value;
      return [this.say('pubkey', this.#keys.publicKeyHex)];
    }
    if (command === 'auth') return this.#opens(args) ? [await this.ioauth()] : [];
    if (command === 'tx') return this.#sign(args);
    return [];
  }

  say(command: HeldMessage['command'], args: string): HeldMessage {
    return { from: this.nick, to: this.#taker, command, args };
  }

  /** All its coins; each call gives another ciphertext. */
  async ioauth(): Promise<HeldMessage> {
    const wallet = createMakerWallet(this.nick, this.coins);
    const all = this.coins.reduce((sum, { value }) => sum + value, 0);
    const reserved = await wallet.reserve(
      { boxPublicKey: this.#keys.publicKeyHex, amount: this.#amount, least: all, offer: NO_OFFER },
      new AbortController().signal,
    );
    if (reserved === undefined) throw new Error('it has its coins');
    const { coins, authPublicKey, coinjoinAddress, changeAddress, authSignature } = reserved;
    const text = formatIoAuth({
      coins: coins.map(({ txid, vout }) => ({ txid, vout })),
      authPublicKey,
      coinjoinAddress,
      changeAddress,
      signature: authSignature,
    });
    return this.say('ioauth', this.#open.encrypt(text, randomBytes));
  }

  get #open(): BoxSession {
    if (this.#box === undefined) throw new Error('it was not filled');
    return this.#box;
  }

  #opens(args: string): boolean {
    return this.#open.decrypt([args]).ok;
  }

  async #sign(args: string): Promise<readonly HeldMessage[]> {
    const text = this.#open.decrypt([args]);
    const bytes = text.ok ? parseTransactionText(text.value) : undefined;
    const tx = bytes && parseUnsigned(bytes);
    if (bytes === undefined || tx?.ok !== true) throw new Error('a transaction');
    const inputs = tx.value.inputs.flatMap((input, index) => {
      const coin = this.coins.find((own) => formatOutpoint(own) === formatOutpoint(input));
      return coin === undefined ? [] : [{ index, coin }];
    });
    const signatures = await createMakerWallet(this.nick, this.coins).sign(
      { transaction: bytes, txid: tx.value.txid, inputs },
      new AbortController().signal,
    );
    return signatures.flatMap((signature, n) => {
      const coin = inputs[n]?.coin;
      if (coin === undefined) return [];
      const pushes = formatSignatureText(signature, coin);
      return [this.say('sig', this.#open.encrypt(pushes, randomBytes))];
    });
  }
}
