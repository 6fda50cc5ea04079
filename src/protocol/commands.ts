/**
 * The command table (docs/protocol.md, section 8.1) and the grammar of command texts (section 6.1).
 */
import { fail, ok, type Parsed } from './result.js';

/** Where a command may stand, and how many arguments it needs. */
export interface CommandRule {
  /** May be sent in a public message. */
  readonly public: boolean;
  /** May begin a private message. */
  readonly private: boolean;
  /** Its argument is one NaCl box in base64. */
  readonly encrypted: boolean;
  /** Fewest arguments; further ones are ignored (section 9.4, 9.5). */
  readonly minArgs: number;
}

const plainPrivate = (minArgs: number): CommandRule => ({
  public: false,
  private: true,
  encrypted: false,
  minArgs,
});
const plainAnywhere = (minArgs: number): CommandRule => ({
  public: true,
  private: true,
  encrypted: false,
  minArgs,
});
const ENCRYPTED: CommandRule = { public: false, private: true, encrypted: true, minArgs: 1 };
const OFFER = plainAnywhere(5);
const CANCEL: CommandRule = { public: true, private: false, encrypted: false, minArgs: 1 };
const TBOND: CommandRule = { public: false, private: false, encrypted: false, minArgs: 1 };

/** The six commands that are offers (docs/protocol.md, section 8.2). */
export const OFFER_TYPES = [
  'reloffer',
  'absoffer',
  'swreloffer',
  'swabsoffer',
  'sw0reloffer',
  'sw0absoffer',
] as const;
/** The command word of an offer. */
export type OfferType = (typeof OFFER_TYPES)[number];

/** All commands with their rules (docs/protocol.md, section 8.1). */
export const COMMANDS = {
  /** Taker to maker: asks for a coinjoin (section 9.1). */
  fill: plainPrivate(4),
  /** Maker to taker: the key of its box. */
  pubkey: plainPrivate(1),
  /** Taker to maker: the proof behind its commitment. */
  auth: ENCRYPTED,
  /** Maker to taker: its coins, addresses and signature. */
  ioauth: ENCRYPTED,
  /** Taker to maker: the transaction to sign. */
  tx: ENCRYPTED,
  /** Maker to taker: the signature of one input. */
  sig: ENCRYPTED,
  /** Taker to maker: asks it to broadcast the transaction. */
  push: plainPrivate(1),
  /** Either way: why a negotiation ends. */
  error: plainPrivate(0),
  /** Asks makers for their offers. */
  orderbook: plainAnywhere(0),
  /** Announces a used commitment (section 8.4). */
  hp2: plainAnywhere(1),
  /** Withdraws the offer with this number. */
  cancel: CANCEL,
  /** Only after an offer in a private message, never first. */
  tbond: TBOND,
  /** An offer for legacy addresses with a fee relative to the amount. */
  reloffer: OFFER,
  /** An offer for legacy addresses with a fixed fee. */
  absoffer: OFFER,
  /** An offer for nested segwit addresses with a fee relative to the amount. */
  swreloffer: OFFER,
  /** An offer for nested segwit addresses with a fixed fee. */
  swabsoffer: OFFER,
  /** An offer for native segwit addresses with a fee relative to the amount. */
  sw0reloffer: OFFER,
  /** An offer for native segwit addresses with a fixed fee. */
  sw0absoffer: OFFER,
} as const satisfies Readonly<Record<string, CommandRule>>;

/** The word of a known command. */
export type CommandName = keyof typeof COMMANDS;

/** Whether a word is a known command; upper and lower case differ. */
export function isCommandName(word: string): word is CommandName {
  return Object.hasOwn(COMMANDS, word);
}

/** Whether a word is the command of an offer. */
export function isOfferType(word: string): word is OfferType {
  return (OFFER_TYPES as readonly string[]).includes(word);
}

/** One command of a text. `name` may be unknown; the receiver then ignores the command. */
export interface Command {
  /** The command word, without `!`. */
  readonly name: string;
  /** The words after it. */
  readonly args: readonly string[];
}

/** Most commands in one message. A message with more is dropped; no legitimate one has as many. */
export const MAX_COMMANDS = 100;

/** Why a text is not a list of commands: it has none, or more than `MAX_COMMANDS`. */
export type CommandsFault = 'command-empty' | 'commands-too-many';

/**
 * Splits `word arg arg!word arg` (without a leading `!`) into commands. Extra `!` and doubled blanks
 * are skipped.
 */
export function parseCommands(text: string): Parsed<readonly Command[], CommandsFault> {
  const commands: Command[] = [];
  let from = 0;
  while (from <= text.length) {
    const bang = text.indexOf('!', from);
    const to = bang === -1 ? text.length : bang;
    const words = text
      .slice(from, to)
      .split(' ')
      .filter((word) => word !== '');
    const [name, ...args] = words;
    if (name !== undefined) {
      if (commands.length === MAX_COMMANDS) return fail('commands-too-many');
      commands.push({ name, args });
    }
    from = to + 1;
  }
  return commands.length > 0 ? ok(commands) : fail('command-empty');
}
