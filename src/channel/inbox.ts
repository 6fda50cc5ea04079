/**
 * Judges what peers say, before anything is done with it: route, signature, nick, copies (protocol
 * document, sections 6 and 7.4).
 */
import { parseCommands, type Command } from '../protocol/commands.js';
import { parseRoute, verifyPrivmsg, type PrivateMessage } from '../protocol/message.js';
import { isRoutableNick } from '../protocol/nick.js';
import { createSeenMessages } from './seen-messages.js';
import type { ChannelSettings } from './channel-settings.js';
import type { Clock } from './ports.js';

export interface HeardPublicly {
  readonly from: string;
  readonly text: string;
  readonly commands: readonly Command[];
}

/** `fresh` is to be told; `copy` came before by another way; `junk` means nothing or is not ours. */
export type Judged<T> =
  { readonly verdict: 'fresh' | 'copy'; readonly message: T } | { readonly verdict: 'junk' };

export interface Inbox {
  /** A 687 payload; `way` names how it came. */
  public(payload: string, way: string): Judged<HeardPublicly>;
  /** A 685 payload addressed to us. */
  private(payload: string, way: string): Judged<PrivateMessage>;
}

const JUNK = { verdict: 'junk' } as const;

export function createInbox(nick: string, settings: ChannelSettings, clock: Clock): Inbox {
  const seen = createSeenMessages(
    clock,
    settings.timings.duplicateMs,
    settings.limits.rememberedMessages,
  );

  return {
    public(payload, way) {
      const route = parseRoute(payload);
      if (!route.ok || route.value.to !== undefined) return JUNK;
      const { from, text } = route.value;
      if (from === nick || !isRoutableNick(from)) return JUNK;
      const commands = parseCommands(text);
      if (!commands.ok) return JUNK;
      return {
        // Said twice is told twice: a new offer may equal one before the last.
        verdict: seen.arrived(payload, way) === 'copy' ? 'copy' : 'fresh',
        message: { from, text: text.replace(/^!+/, ''), commands: commands.value },
      };
    },
    private(payload, way) {
      const route = parseRoute(payload);
      if (!route.ok || route.value.to !== nick) return JUNK;
      const { from, to, text } = route.value;
      if (from === nick || !isRoutableNick(from)) return JUNK;
      const message = verifyPrivmsg(from, to, text);
      if (!message.ok) return JUNK;
      // A sender that fears for its message sends it again, maybe by the same way.
      const verdict = seen.arrived(payload, way) === 'first' ? 'fresh' : 'copy';
      return { verdict, message: message.value };
    },
  };
}
