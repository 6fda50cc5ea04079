/** Private messages on their last step: to a peer here, or a gone notice to their sender. */
import type { Clock } from '../../channel/ports.js';
import { MAX_LINE_BYTES } from '../../protocol/constants.js';
import { isRoutableNick } from '../../protocol/nick.js';
import type { Fanout } from '../fanout/fanout.js';
import { goneFrame, type Peerlists } from '../fanout/peerlists.js';
import type { DirectoryLimits } from '../limits.js';
import type { ListedPeer } from '../neighbours.js';
import type { Partners, Peer } from '../peer.js';
import type { Tally } from '../stats.js';
import type { Budgets } from './budgets.js';
import { noteMessage } from './conversations.js';
import { goneNoticeDue } from './gone-notice.js';

/**
 * Part of `send_queue_bytes` that private messages may fill, so that no peer can cause another's
 * eviction by writing to it. A message that does not fit is not relayed, and its sender gets a gone
 * notice.
 */
const PRIVMSG_ROOM = 0.25;
/** The same part for messages of a running conversation. */
const CONVERSATION_ROOM = 0.75;

/** The sender of a private message, here or at another node. */
export interface Sender extends ListedPeer {
  partners: Partners | undefined;
}

export interface DeliveriesOptions {
  readonly limits: DirectoryLimits;
  readonly clock: Clock;
  readonly fanout: Fanout;
  readonly peerlists: Peerlists;
  readonly budgets: Budgets;
  readonly tally: Tally;
}

export class Deliveries {
  readonly #options: DeliveriesOptions;

  constructor(options: DeliveriesOptions) {
    this.#options = options;
  }

  /** Whether the addressee takes its messages fast enough for this one. */
  fits(target: Peer, frame: string, running: boolean): boolean {
    const { limits, fanout } = this.#options;
    const part = running ? CONVERSATION_ROOM : PRIVMSG_ROOM;
    // One line always fits, however small the queue.
    const room = Math.max(MAX_LINE_BYTES, limits.sendQueueBytes * part);
    return fanout.outboxes.lag(target.outbox) + frame.length <= room;
  }

  /** Queues a message, and the location of its sender behind it. */
  deliver(sender: Sender, target: Peer, frame: string, running: boolean): void {
    const { clock, fanout, peerlists, tally } = this.#options;
    noteMessage(sender, target, running, clock.now());
    tally.messagesOut.privmsg++;
    tally.messagesOut.peerlist++;
    fanout.urgent(target, frame + peerlists.pushFrame(sender, target), sender.nick, 2);
  }

  /** So that a taker uses another route at once. */
  tellGone(peer: Peer, to: string): void {
    const { clock, fanout, budgets, tally } = this.#options;
    if (!isRoutableNick(to) || !goneNoticeDue(peer, to, clock.now())) return;
    if (!budgets.spend('peerlist', 1)) {
      tally.dropped['budget-peerlist']++;
      return;
    }
    tally.goneNotices++;
    tally.messagesOut.peerlist++;
    fanout.urgent(peer, goneFrame(to), to);
  }
}
