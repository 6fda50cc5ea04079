/** A taker with full control of its keys and messages, up to the point where it may send any transaction. */
import { randomBytes } from 'node:crypto';
import {
  formatFill,
  formatTransactionText,
  parseIoAuth,
  type IoAuth,
} from '../../src/negotiation/payloads.js';
import { addressScript } from '../../src/bitcoin/address.js';
import type { TransactionOutput } from '../../src/bitcoin/transaction.js';
import { buildUnsigned, type UnsignedTransaction } from '../../src/negotiation/transaction.js';
import type { CommandName } from '../../src/protocol/commands.js';
import {
  createBoxKeyPair,
  openBoxSession,
  type BoxSession,
} from '../../src/protocol/encryption.js';
import type { Outpoint } from '../../src/protocol/outpoint.js';
import { formatRevelation, type Podle } from '../../src/protocol/podle.js';
import type { LiveTestChannel } from './test-channel.js';
import type { HeldMessage, MessageExchange } from './message-exchange.js';

export const scriptOf = (address: string): string => addressScript('signet', address) ?? '';

/** The coins and addresses that the maker named in `ioauth`, and the next steps. */
export interface Named {
  readonly nick: string;
  readonly io: IoAuth;
  readonly coinjoinScript: string;
  readonly changeScript: string;
  readonly box: BoxSession;
  readonly say: Voice;
  readonly sayBoxed: Voice;
  /** Asks for signatures; resolves with the answers. */
  sendTransaction(tx: UnsignedTransaction): Promise<readonly Said[]>;
}

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Lets a maker answer, and takes its answers out of the mail. */
async function answers(office: MessageExchange): Promise<readonly HeldMessage[]> {
  for (let turn = 0; turn < 8; turn += 1) await nextTurn();
  return office.pending.splice(0);
}

/** Sends one message to the maker; resolves with its answers. */
export type Voice = (command: CommandName, args: string) => Promise<readonly Said[]>;

export interface Said {
  readonly command: string;
  readonly args: string;
}

/** By mail: all messages of the maker to it. */
export function postVoice(office: MessageExchange, maker: string, nick: string): Voice {
  office.open(nick);
  return (command, args) => {
    office.pending.length = 0;
    office.deliver({ from: nick, to: maker, command, args });
    return answers(office);
  };
}

/** Over a real channel: the first answer. */
export function channelVoice(channel: LiveTestChannel, maker: string): Voice {
  return async (command, args) => {
    const result = channel.send(maker, command, args);
    if (!result.sent) throw new Error(`${command} was not sent: ${result.reason}`);
    const { commands } = await channel.next('privmsg');
    return commands.map(({ name, args: words }) => ({ command: name, args: words.join(' ') }));
  };
}

export interface Approach {
  readonly say: Voice;
  readonly nick: string;
  readonly amount: number;
  readonly podle: Podle;
}

/** From `fill` to `ioauth`; resolves with the messages of the maker when it did not name its coins. */
export async function approach({
  say,
  nick,
  amount,
  podle: { commitment, revelation },
}: Approach): Promise<Named | readonly Said[]> {
  const keys = createBoxKeyPair(randomBytes);
  const fill = formatFill({ oid: 0, amount, takerKey: keys.publicKeyHex, commitment });
  const toFill = await say('fill', fill);
  const box = openBoxSession(
    keys,
    toFill[0]?.command === 'pubkey' ? (toFill[0].args.split(' ')[0] ?? '') : '',
  );
  if (!box.ok) return toFill;
  const sayBoxed = (command: CommandName, text: string): Promise<readonly Said[]> =>
    say(command, box.value.encrypt(text, randomBytes));
  const toAuth = await sayBoxed('auth', formatRevelation(revelation));
  const text = box.value.decrypt([toAuth[0]?.args ?? '']);
  const io = text.ok ? parseIoAuth(text.value) : text;
  if (!io.ok) return toAuth;
  return {
    nick,
    io: io.value,
    coinjoinScript: scriptOf(io.value.coinjoinAddress),
    changeScript: scriptOf(io.value.changeAddress),
    box: box.value,
    say,
    sayBoxed,
    sendTransaction: (tx) => sayBoxed('tx', formatTransactionText(tx.bytes)),
  };
}

export const isNamed = (result: Named | readonly Said[]): result is Named => 'io' in result;

/** A transaction of these coins and outputs, equal for equal arguments. */
export function transactionOf(
  coins: readonly Outpoint[],
  outputs: readonly TransactionOutput[],
  lockTime = 0,
): UnsignedTransaction {
  const inputs = coins.map(({ txid, vout }) => ({ txid, vout, sequence: 1 }));
  const tx = buildUnsigned(inputs, outputs, lockTime);
  if (!tx.ok) throw new Error(tx.reason);
  return tx.value;
}
