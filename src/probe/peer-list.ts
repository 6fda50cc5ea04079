/** Asks a directory for its peer list and counts it (docs/protocol.md, section 5.2). */
import { MessageType, PEERLIST_CHUNK_ENTRIES } from '../protocol/constants.js';
import { parsePeerlist } from '../protocol/peerlist.js';
import type { PeerlistCount } from './probe-result.js';
import type { ProbeSession } from './probe-session.js';
import { waitFor, type WaitOptions } from './bounded-wait.js';

/** Most nicks remembered. A longer list is cut. */
const MAX_NICKS = 50_000;
/** A list has no end mark. Deployed directories pause 50 ms between two lines of it. */
const QUIET_MS = 2_000;

/** Asks for the list. `silent` when no line came in time; `stopped` by the signal. Never rejects. */
export async function countPeers(
  session: ProbeSession,
  wait: WaitOptions,
): Promise<PeerlistCount | 'silent' | 'stopped'> {
  const { clock } = wait;
  const askedAt = clock.now();
  const nicks = new Set<string>();
  let serving = 0;
  let lastAt: number | undefined;
  const waited = await waitFor<'over'>(wait, (finish) => {
    let cancelQuiet: (() => void) | undefined;
    const stop = session.listen(({ type, line }) => {
      if (type !== MessageType.PEERLIST) return;
      const { entries } = parsePeerlist(line);
      // A leave, which is not part of the answer.
      if (entries.length > 0 && entries.every(({ left }) => left)) return;
      lastAt = clock.now();
      for (const { nick, location, left } of entries) {
        if (left || nick === session.nickKey.nick || nicks.has(nick)) continue;
        nicks.add(nick);
        if (location.kind !== 'not-serving') serving++;
      }
      // A line that is not full is the last one. Some directories send the whole list in one line.
      if (entries.length !== PEERLIST_CHUNK_ENTRIES || nicks.size > MAX_NICKS) {
        finish('over');
        return;
      }
      cancelQuiet?.();
      cancelQuiet = clock.after(QUIET_MS, () => finish('over'));
    });
    void session.over.then(() => finish('over'));
    session.send(MessageType.GETPEERLIST, '');
    return () => {
      cancelQuiet?.();
      stop();
    };
  });
  if (waited.end === 'stopped') return 'stopped';
  if (lastAt === undefined) return 'silent';
  return { tookMs: lastAt - askedAt, peers: nicks.size, serving };
}
