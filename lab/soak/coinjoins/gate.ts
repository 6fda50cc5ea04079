/** A channel in front of another one: decides about each private message, in both directions. */
import { EventEmitter } from 'eventemitter3';
import type {
  MessageChannelEvents,
  OnionMessageChannel,
  ReceivedPrivateMessage,
} from '../../../src/channel/message-channel.js';
import type { CommandName } from '../../../src/protocol/commands.js';

/** The rules of a gate; it lets everything pass that they do not name. */
export interface GateRules {
  /** Whether the party behind the gate gets this message. */
  readonly receives?: (message: ReceivedPrivateMessage) => boolean;
  /** The arguments that are sent in place of these; several are sent one after the other. */
  readonly says?: (command: CommandName, args: string) => readonly string[];
}

export interface Gate {
  readonly channel: OnionMessageChannel;
  rules: GateRules;
}

/** The listeners of the gate are those of the party behind it: `close` takes none of the channel's away. */
export function gateOf(channel: OnionMessageChannel): Gate {
  const events = new EventEmitter<Pick<MessageChannelEvents, 'privmsg'>>();
  const gate: { channel: OnionMessageChannel; rules: GateRules } = { channel, rules: {} };
  channel.on('privmsg', (message) => {
    if (gate.rules.receives?.(message) ?? true) events.emit('privmsg', message);
  });
  const on: OnionMessageChannel['on'] = (event, listener) => {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the event decides the listener's type
    if (event === 'privmsg') events.on('privmsg', listener as MessageChannelEvents['privmsg']);
    else channel.on(event, listener);
  };
  const off: OnionMessageChannel['off'] = (event, listener) => {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- as above
    if (event === 'privmsg') events.off('privmsg', listener as MessageChannelEvents['privmsg']);
    else channel.off(event, listener);
  };
  const send: OnionMessageChannel['send'] = (nick, command, args, by) => {
    const [first = args, ...more] = gate.rules.says?.(command, args) ?? [args];
    for (const other of more) channel.send(nick, command, other, by);
    return channel.send(nick, command, first, by);
  };
  const parts = { on, off, send };
  gate.channel = new Proxy(channel, {
    get(target, name) {
      const owner = Object.hasOwn(parts, name) ? parts : target;
      const value: unknown = Reflect.get(owner, name, owner);
      return typeof value === 'function' ? value.bind(owner) : value;
    },
  });
  return gate;
}
