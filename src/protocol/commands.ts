/**
 * The command table (docs/protocol.md, section 8.1) and the grammar of command texts (section 6.1).
 */
import { fail, ok, type Parsed } from './result.js';

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

const PLAIN_PRIVATE = { public: false, private: true, encrypted: false };
const ENCRYPTED: CommandRule = { public: false, private: true, encrypted: true, minArgs: 1 };
const OFFER: CommandRule = { public: true, private: true, encrypted: false, minArgs: 5 };

export const OFFER_TYPES = [
  'reloffer',
  'absoffer',
  'swreloffer',
  'swabsoffer',
  'sw0reloffer',
  'sw0absoffer',
] as const;
export type OfferType = (typeof OFFER_TYPES)[number];

export const COMMANDS = {
  fill: { ...PLAIN_PRIVATE, minArgs: 4 },
  pubkey: { ...PLAIN_PRIVATE, minArgs: 1 },
  auth: ENCRYPTED,
  ioauth: ENCRYPTED,
  tx: ENCRYPTED,
  sig: ENCRYPTED,
  push: { ...PLAIN_PRIVATE, minArgs: 1 },
  error: { ...PLAIN_PRIVATE, minArgs: 0 },
  orderbook: { public: true, private: true, encrypted: false, minArgs: 0 },
  hp2: { public: true, private: true, encrypted: false, minArgs: 1 },
  cancel: { public: true, private: false, encrypted: false, minArgs: 1 },
  /** Only after an offer in a private message, never first. */
  tbond: { public: false, private: false, encrypted: false, minArgs: 1 },
  reloffer: OFFER,
  absoffer: OFFER,
  swreloffer: OFFER,
  swabsoffer: OFFER,
  sw0reloffer: OFFER,
  sw0absoffer: OFFER,
} as const satisfies Readonly<Record<string, CommandRule>>;

export type CommandName = keyof typeof COMMANDS;

export function isCommandName(word: string): word is CommandName {
  return Object.hasOwn(COMMANDS, word);
}

export function isOfferType(word: string): word is OfferType {
  return (OFFER_TYPES as readonly string[]).includes(word);
}

/** One command of a text. `name` may be unknown; the receiver then ignores the command. */
export interface Command {
  readonly name: string;
  readonly args: readonly string[];
}

/** Most commands in one message. A message with more is dropped; no legitimate one has as many. */
export const MAX_COMMANDS = 100;

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
