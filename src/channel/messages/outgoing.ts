/** Checks the caller's text before it is signed or sent. */
import {
  COMMANDS,
  isCommandName,
  parseCommands,
  type CommandName,
} from '../../protocol/commands.js';
import { MessageType } from '../../protocol/constants.js';
import { encodeEnvelope, fitsOneLine } from '../../protocol/envelope.js';
import { formatPrivmsg, formatPubmsg } from '../../protocol/message.js';
import { isRoutableNick, type NickKey } from '../../protocol/nick.js';
import { ChannelError } from '../channel-error.js';

const CONTROL_CHARACTER = /\p{Cc}/u;

function checkText(text: string, what: string): void {
  if (CONTROL_CHARACTER.test(text)) {
    throw new ChannelError('characters', `${what} holds a control character, which cannot be sent`);
  }
  if (text !== text.trim()) {
    throw new ChannelError('characters', `${what} begins or ends with a blank; trim it first`);
  }
}

function checkSize(type: number, payload: string, what: string): void {
  const bytes = encodeEnvelope(type, payload);
  if (fitsOneLine(bytes)) return;
  throw new ChannelError(
    'too-long',
    `${what} would make a line of ${bytes.length - 2} bytes; 39,998 is the most, so send less at once`,
  );
}

/** Throws ChannelError unless `text` has only public commands and fits one line. */
export function checkPubmsg(nick: string, text: string): void {
  checkText(text, 'the public message');
  const commands = parseCommands(text);
  if (!commands.ok || text.startsWith('!')) {
    throw new ChannelError('command', 'a public message begins with a command word, without "!"');
  }
  for (const { name } of commands.value) {
    if (!isCommandName(name) || !COMMANDS[name].public) {
      throw new ChannelError('command', `"${name.slice(0, 20)}" is not a public command`);
    }
  }
  checkSize(MessageType.PUBMSG, formatPubmsg(nick, text), 'the public message');
}

/** The signed 685 payload. Throws ChannelError when the arguments do not make a private message. */
export function privmsgPayload(key: NickKey, to: string, command: string, args: string): string {
  if (!isRoutableNick(to)) {
    throw new ChannelError('nick', 'a nick has 1 to 64 printable characters and no "!", ";", ","');
  }
  if (!isPrivateCommand(command)) {
    throw new ChannelError('command', `"${command.slice(0, 20)}" cannot begin a private message`);
  }
  if (args.trim() === '') {
    throw new ChannelError('args-empty', `a private ${command} needs an argument`);
  }
  checkText(args, `the private ${command}`);
  const payload = formatPrivmsg(key, to, command, args);
  checkSize(MessageType.PRIVMSG, payload, `the private ${command}`);
  return payload;
}

function isPrivateCommand(word: string): word is CommandName {
  return isCommandName(word) && COMMANDS[word].private;
}
