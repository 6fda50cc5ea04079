/** Message channels in memory, whose messages wait until a test decides about them. */
import { EventEmitter } from 'eventemitter3';
import type { Route } from '../../src/channel/channel-api.js';
import type { MessageChannelEvents } from '../../src/channel/message-channel.js';
import type { NegotiationChannel } from '../../src/negotiation/resender.js';
import type { CommandName } from '../../src/protocol/commands.js';
import { useFastCurves } from '../../src/roles/fast-curves.js';

// As the programs do; test/platform compares these curves with those in JavaScript.
useFastCurves();

export interface HeldMessage {
  readonly from: string;
  readonly to: string;
  readonly command: CommandName;
  readonly args: string;
  /** Default: a direct link. */
  readonly route?: Route;
}

export interface MessageExchange {
  /** Sent and not yet taken out, oldest first. */
  readonly pending: HeldMessage[];
  /** All messages ever sent. */
  readonly history: HeldMessage[];
  /** Nicks that cannot be reached now. */
  readonly away: Set<string>;
  open(nick: string): NegotiationChannel;
  /** As if it came from the wire, verified; lost when its addressee is away. */
  deliver(mail: HeldMessage): void;
  /** All other channels learn that the nick is gone. */
  tellGone(nick: string): void;
  /** Resolves when the next message is sent. */
  next(): Promise<void>;
  /** Listeners that are left, of all channels. */
  readonly listeners: number;
}

export function createMessageExchange(): MessageExchange {
  const events = new Map<string, EventEmitter<MessageChannelEvents>>();
  const pending: HeldMessage[] = [];
  const history: HeldMessage[] = [];
  const away = new Set<string>();
  let waiting: (() => void)[] = [];
  return {
    pending,
    history,
    away,
    open(nick) {
      const emitter = new EventEmitter<MessageChannelEvents>();
      events.set(nick, emitter);
      return {
        on: (event, listener) => void emitter.on(event, listener),
        off: (event, listener) => void emitter.off(event, listener),
        send(to, command, args) {
          if (away.has(to) || away.has(nick)) return { sent: false, reason: 'no-route' };
          const mail = { from: nick, to, command, args };
          pending.push(mail);
          history.push(mail);
          for (const tell of waiting) tell();
          waiting = [];
          return { sent: true, route: { kind: 'direct' } };
        },
      };
    },
    deliver({ from, to, command, args, route = { kind: 'direct' } }) {
      if (away.has(to)) return;
      const words = args.split(' ').filter((word) => word !== '');
      events.get(to)?.emit('privmsg', {
        from,
        to,
        commands: [{ name: command, args: words }],
        publicKeyHex: '',
        route,
      });
    },
    tellGone(nick) {
      for (const [other, emitter] of events) if (other !== nick) emitter.emit('peer-gone', nick);
    },
    next: () => new Promise((resolve) => void waiting.push(resolve)),
    get listeners() {
      const names = ['privmsg', 'pubmsg', 'peer-gone', 'directory-down', 'stopped'] as const;
      return [...events.values()].reduce(
        (sum, emitter) => sum + names.reduce((n, name) => n + emitter.listenerCount(name), 0),
        0,
      );
    },
  };
}
