/**
 * Payloads of types 685 and 687 (docs/protocol.md, section 6.1) and the signatures of private messages
 * (sections 7.2 to 7.4).
 */
import {
  COMMANDS,
  isCommandName,
  parseCommands,
  type Command,
  type CommandsFault,
} from './commands.js';
import { HOST_ID } from './constants.js';
import { nickMatchesKey, type NickKey } from './nick.js';
import { fail, ok, type Parsed } from './result.js';
import { signNickText, verifyText } from './signature.js';

const PUBLIC = 'PUBLIC';

/** A payload split at its first two `!`; `text` is the rest. */
export interface RoutedPayload {
  /** The nick that the payload names as its sender. */
  readonly from: string;
  /** A nick, or undefined for a public message. */
  readonly to: string | undefined;
  /** All after the second `!`. */
  readonly text: string;
}

/** Which part of a payload is missing. */
export type RouteFault = 'route-separators' | 'route-from' | 'route-to' | 'route-text';

/** Reads `from!to!text` or `from!PUBLIC!text`. Does not check whether the nicks exist. */
export function parseRoute(payload: string): Parsed<RoutedPayload, RouteFault> {
  const first = payload.indexOf('!');
  if (first === -1) return fail('route-separators');
  const second = payload.indexOf('!', first + 1);
  if (second === -1) return fail('route-separators');
  if (first === 0) return fail('route-from');
  if (second === first + 1) return fail('route-to');
  if (second === payload.length - 1) return fail('route-text');
  const to = payload.slice(first + 1, second);
  return ok({
    from: payload.slice(0, first),
    to: to === PUBLIC ? undefined : to,
    text: payload.slice(second + 1),
  });
}

/** `from!PUBLIC!text`; `text` without a leading `!`. */
export function formatPubmsg(from: string, text: string): string {
  return `${from}!${PUBLIC}!${text}`;
}

/** The last text that each key signed. A taker sends the same `fill` to many makers, one after the other. */
const lastSigned = new WeakMap<NickKey, { readonly text: string; readonly signature: string }>();

/** A signature names no addressee and is deterministic, so that an equal text has an equal one. */
function signatureOf(key: NickKey, text: string): string {
  const last = lastSigned.get(key);
  if (last?.text === text) return last.signature;
  const signature = signNickText(text, key.privateKey);
  lastSigned.set(key, { text, signature });
  return signature;
}

/**
 * A signed private payload, `from!to!command args pubkey signature`. Throws a RangeError for blank
 * `args`: deployed receivers drop a message that signs nothing (section 7.4).
 */
export function formatPrivmsg(key: NickKey, to: string, command: string, args: string): string {
  if (args.trim() === '') throw new RangeError(`a private ${command} needs at least one argument`);
  const signature = signatureOf(key, args + HOST_ID);
  return `${key.nick}!${to}!${command} ${args} ${key.publicKeyHex} ${signature}`;
}

/** A private message whose signature and nick were verified. */
export interface PrivateMessage {
  /** The sender's nick; its key signed the message. */
  readonly from: string;
  /** The addressee's nick. */
  readonly to: string;
  /** The first command is known and may begin a private message. The others may be unknown. */
  readonly commands: readonly [Command, ...Command[]];
  /** The sender's public key, compressed, 66 hex digits. */
  readonly publicKeyHex: string;
}

/** Why a private message is not accepted (section 7.4). */
export type PrivmsgFault =
  | CommandsFault
  | 'privmsg-unsigned'
  | 'privmsg-command'
  | 'privmsg-arity'
  | 'privmsg-signature'
  | 'privmsg-nick';

/**
 * Verifies a private text before anything is done with it: known first command, something signed,
 * signature, nick of the key, arity (in the order of section 7.4). The signature does not cover the
 * first command word (quirk Q18).
 */
export function verifyPrivmsg(
  from: string,
  to: string,
  text: string,
): Parsed<PrivateMessage, PrivmsgFault> {
  // Some peers send extra leading `!` (section 6.1). They are not signed.
  const body = text.replace(/^!+/, '');
  const lastBlank = body.lastIndexOf(' ');
  const keyBlank = lastBlank > 0 ? body.lastIndexOf(' ', lastBlank - 1) : -1;
  const commandBlank = body.indexOf(' ');
  if (keyBlank <= commandBlank) return fail('privmsg-unsigned');
  const word = body.slice(0, commandBlank);
  if (!isCommandName(word) || !COMMANDS[word].private) return fail('privmsg-command');
  const args = body.slice(commandBlank + 1, keyBlank);
  if (args.trim() === '') return fail('privmsg-unsigned');
  const publicKeyHex = body.slice(keyBlank + 1, lastBlank);
  if (!verifyText(args + HOST_ID, publicKeyHex, body.slice(lastBlank + 1))) {
    return fail('privmsg-signature');
  }
  if (!nickMatchesKey(from, publicKeyHex)) return fail('privmsg-nick');
  const commands = parseCommands(body.slice(0, keyBlank));
  if (!commands.ok) return commands;
  const [first, ...rest] = commands.value;
  if (first === undefined) return fail('command-empty');
  if (first.args.length < COMMANDS[word].minArgs) return fail('privmsg-arity');
  return ok({ from, to, commands: [first, ...rest], publicKeyHex });
}
