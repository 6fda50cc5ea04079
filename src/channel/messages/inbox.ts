/**
 * Validates received messages before anything is done with them: route, signature, nick, copies
 * (docs/protocol.md, sections 6 and 7.4).
 */
import { BoundedSet } from '../../kit/bounded-map.js';
import { parseCommands, type Command } from '../../protocol/commands.js';
import { parseRoute, verifyPrivmsg, type PrivateMessage } from '../../protocol/message.js';
import { isRoutableNick } from '../../protocol/nick.js';
import { ownText } from '../../protocol/own-text.js';
import { createSeenMessages, type SeenMessages } from './seen-messages.js';
import type { ChannelSettings } from '../channel-settings.js';
import type { Clock } from '../ports.js';

export interface HeardPublicly {
  readonly from: string;
  readonly text: string;
  readonly commands: readonly Command[];
}

/** `fresh`: must be reported. `copy`: received before. `junk`: no meaning, or not for us. */
export type Judged<T> =
  | {
      readonly verdict: 'fresh';
      readonly from: string;
      readonly message: T;
      /** Identifies the payload, independent of the source. */
      readonly id: string;
      /** False when the same payload was received before, at any time. */
      readonly neverHeard: boolean;
    }
  | { readonly verdict: 'copy'; readonly from: string; readonly id: string }
  | { readonly verdict: 'junk' };

export interface Inbox {
  /** A 687 payload; `source` names the directory or link. */
  public(payload: string, source: string): Judged<HeardPublicly>;
  /**
   * Whether a 687 payload on the link of `owner` is its `!orderbook`. A message with more than one
   * request is ignored (section 8.3). It is not remembered, because only we received it.
   */
  asksOrderbook(payload: string, owner: string): boolean;
  /**
   * A 685 payload addressed to us. A copy of a verified message is not verified again; a forged one is
   * not remembered.
   * @param owner the only nick that may use this source, if there is one
   */
  private(payload: string, source: string, owner?: string): Judged<PrivateMessage>;
}

function isOrderbook({ name }: Command): boolean {
  return name === 'orderbook';
}

const JUNK = { verdict: 'junk' } as const;

export function createInbox(
  nick: string,
  settings: ChannelSettings,
  clock: Clock,
  verify: typeof verifyPrivmsg = verifyPrivmsg,
): Inbox {
  const newMemory = (): SeenMessages =>
    createSeenMessages(clock, settings.timings.duplicateMs, settings.limits.rememberedMessages);
  // Separate, because any peer can send many public messages, which must not make a private copy look
  // new.
  const seenPublic = newMemory();
  const seenPrivate = newMemory();

  const everHeard = new BoundedSet<string>(settings.limits.rememberedProofs);

  function firstEver(key: string): boolean {
    if (everHeard.has(key)) return false;
    everHeard.add(key);
    return true;
  }

  return {
    public(payload, source) {
      const route = parseRoute(payload);
      if (!route.ok || route.value.to !== undefined) return JUNK;
      const { text } = route.value;
      if (route.value.from === nick || !isRoutableNick(route.value.from)) return JUNK;
      const from = ownText(route.value.from);
      const commands = parseCommands(text);
      if (!commands.ok) return JUNK;
      const sighting = seenPublic.look(payload);
      const arrival = sighting.arrived(source);
      if (arrival === 'copy') return { verdict: 'copy', from, id: sighting.key };
      return {
        // A message that arrives twice from the same source is reported twice: an offer may equal an earlier
        // one.
        verdict: 'fresh',
        from,
        message: { from, text: text.replace(/^!+/, ''), commands: commands.value },
        id: sighting.key,
        neverHeard: arrival === 'first',
      };
    },
    asksOrderbook(payload, owner) {
      const route = parseRoute(payload);
      if (!route.ok || route.value.to !== undefined || route.value.from !== owner) return false;
      const commands = parseCommands(route.value.text);
      return commands.ok && commands.value.filter(isOrderbook).length === 1;
    },
    private(payload, source, owner) {
      const route = parseRoute(payload);
      if (!route.ok || route.value.to !== nick) return JUNK;
      const { to, text } = route.value;
      if (route.value.from === nick || !isRoutableNick(route.value.from)) return JUNK;
      const from = ownText(route.value.from);
      if (owner !== undefined && from !== owner) return JUNK;
      const sighting = seenPrivate.look(payload);
      if (sighting.known) {
        // A sender that fears a loss sends the message again, perhaps by the same route.
        sighting.arrived(source);
        return { verdict: 'copy', from, id: sighting.key };
      }
      const message = verify(from, to, text);
      if (!message.ok) return JUNK;
      sighting.arrived(source);
      const neverHeard = firstEver(sighting.key);
      return { verdict: 'fresh', from, message: message.value, id: sighting.key, neverHeard };
    },
  };
}
