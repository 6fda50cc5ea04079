/**
 * Payloads of types 685 and 687 (docs/protocol.md, section 6.1) and the signatures of private ones
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
import { signText, verifyText } from './signature.js';

const PUBLIC = 'PUBLIC';

/** A payload cut at its first two `!`; `text` is all behind them. */
export interface RoutedPayload {
  readonly from: string;
  /** A nick, or undefined when it goes to everybody. */
  readonly to: string | undefined;
  readonly text: string;
}

export type RouteFault = 'route-separators' | 'route-from' | 'route-to' | 'route-text';

/** Reads `from!to!text` or `from!PUBLIC!text`; whether the names are anybody's is not checked here. */
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

/**
 * A signed private payload, `from!to!command args pubkey signature`. `args` must not be blank:
 * deployed receivers drop a message that signs nothing (section 7.4). Throws a RangeError then.
 */
export function formatPrivmsg(key: NickKey, to: string, command: string, args: string): string {
  if (args.trim() === '') throw new RangeError(`a private ${command} needs at least one argument`);
  const signature = signText(args + HOST_ID, key.privateKey);
  return `${key.nick}!${to}!${command} ${args} ${key.publicKeyHex} ${signature}`;
}

/** A private message whose signature and nick were verified. */
export interface PrivateMessage {
  readonly from: string;
  readonly to: string;
  /** The first is known and may begin a private message; the others may be unknown. */
  readonly commands: readonly [Command, ...Command[]];
  readonly publicKeyHex: string;
}

export type PrivmsgFault =
  | CommandsFault
  | 'privmsg-unsigned'
  | 'privmsg-command'
  | 'privmsg-arity'
  | 'privmsg-signature'
  | 'privmsg-nick';

/**
 * Verifies a routed private text before anything is done with it: known first command, something
 * signed, signature, nick of the key, arity (order of section 7.4). The first command word itself is
 * not covered by the signature (quirk Q18).
 */
export function verifyPrivmsg(
  from: string,
  to: string,
  text: string,
): Parsed<PrivateMessage, PrivmsgFault> {
  // Extra leading `!` are some peers' habit (section 6.1); they are not signed.
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
