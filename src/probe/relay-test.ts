/**
 * Sends messages between two nicks of the probe at one directory.
 *
 * The private ones are `!error` messages, signed as any other; receivers only log them. The public one
 * is `!cancel` of an offer that never existed: every deployed directory relays it, and no deployed peer
 * answers, shows or stores it. (`!orderbook` would make every maker answer, `!hp2` fills blacklists,
 * and some directories do not relay unknown words; docs/protocol.md, sections 6.2, 8.)
 */
import { pause } from '../kit/pause.js';
import { MessageType } from '../protocol/constants.js';
import { formatPrivmsg, formatPubmsg } from '../protocol/message.js';
import type { Leg, LegTimes } from './probe-result.js';
import type { ProbeSession } from './probe-session.js';
import { waitFor, type WaitOptions } from './bounded-wait.js';

const PRIVATE_TEXT = 'relay test between two nicks of the same owner';
const PUBLIC_TEXT = 'cancel 0';
/** Some directories route to a nick only 50 ms after its 795 (section 3.3). */
const SETTLE_MS = 250;

interface Message {
  readonly leg: Leg;
  readonly from: ProbeSession;
  readonly to: ProbeSession;
  readonly type: number;
  readonly payload: string;
}

function privately(leg: Leg, from: ProbeSession, to: ProbeSession): Message {
  const payload = formatPrivmsg(from.nickKey, to.nickKey.nick, 'error', PRIVATE_TEXT);
  return { leg, from, to, type: MessageType.PRIVMSG, payload };
}

function publicly(leg: Leg, from: ProbeSession, to: ProbeSession): Message {
  const payload = formatPubmsg(from.nickKey.nick, PUBLIC_TEXT);
  return { leg, from, to, type: MessageType.PUBMSG, payload };
}

/**
 * Sends one message in each direction and measures how long each took. A message that has not arrived
 * after half the time is sent again. A message counts only when it arrives byte for byte. Never
 * rejects.
 * @param aloud whether to also send public messages
 */
export async function testRelay(
  first: ProbeSession,
  second: ProbeSession,
  aloud: boolean,
  wait: WaitOptions,
): Promise<LegTimes | 'stopped'> {
  const { clock, signal, withinMs } = wait;
  const messages = [
    privately('private-there', first, second),
    privately('private-back', second, first),
    ...(aloud
      ? [publicly('public-there', first, second), publicly('public-back', second, first)]
      : []),
  ];
  await pause(clock, SETTLE_MS, signal);
  const missing = new Set(messages);
  const legs: Partial<Record<Leg, number | undefined>> = Object.fromEntries(
    messages.map(({ leg }) => [leg, undefined]),
  );
  const sentAt = clock.now();
  const sendMissing = (): void => {
    for (const { from, type, payload } of missing) from.send(type, payload);
  };
  const waited = await waitFor<'over'>(wait, (finish) => {
    const arrived = (at: ProbeSession, type: number, payload: string): void => {
      for (const message of missing) {
        if (message.to !== at || message.type !== type || message.payload !== payload) continue;
        missing.delete(message);
        legs[message.leg] = clock.now() - sentAt;
      }
      if (missing.size === 0) finish('over');
    };
    const stops = [first, second].map((session) => {
      void session.over.then(() => finish('over'));
      return session.listen(({ type, line }) => arrived(session, type, line));
    });
    stops.push(clock.after(withinMs / 2, sendMissing));
    sendMissing();
    return () => {
      for (const stop of stops) stop();
    };
  });
  return waited.end === 'stopped' ? 'stopped' : legs;
}
