/**
 * Messages that come from other nodes of this directory. Their nodes have checked their rates and charged the
 * budgets; what is written to a peer here is checked here again.
 */
import type { Clock } from '../../channel/ports.js';
import { MessageType } from '../../protocol/constants.js';
import { encodeEnvelope, fitsOneLine } from '../../protocol/envelope.js';
import { parseRoute } from '../../protocol/message.js';
import type { Fanout } from '../fanout/fanout.js';
import type { Delivery, Neighbours } from '../neighbours.js';
import type { Registry } from '../registry.js';
import type { Tally } from '../stats.js';
import type { Budgets } from './budgets.js';
import { isRunning } from './conversations.js';
import type { Deliveries } from './deliveries.js';
import { publicClass } from './public-class.js';

export interface RemoteRelayOptions {
  readonly clock: Clock;
  readonly registry: Registry;
  readonly fanout: Fanout;
  readonly budgets: Budgets;
  readonly deliveries: Deliveries;
  readonly tally: Tally;
  readonly neighbours: Neighbours | undefined;
}

export class RemoteRelay {
  readonly #options: RemoteRelayOptions;

  constructor(options: RemoteRelayOptions) {
    this.#options = options;
  }

  /** See `LocalSide.publish`. */
  publish(from: string, payload: string): void {
    const { registry, fanout, tally } = this.#options;
    const frame = encodeEnvelope(MessageType.PUBMSG, payload);
    if (!fitsOneLine(frame) || registry.ready.length === 0) return;
    const sender = registry.byNick(from);
    const kind = payload.includes('orderbook') ? 'orderbook' : 'pubmsg';
    tally.messagesOut[kind] += registry.ready.length - (sender ? 1 : 0);
    fanout.broadcast(frame, from, sender);
  }

  /** See `LocalSide.deliver`. */
  deliver(from: string, to: string, payload: string): Delivery {
    const { clock, registry, deliveries, neighbours, tally } = this.#options;
    const sender = registry.byNick(from) ?? neighbours?.byNick(from);
    const target = registry.byNick(to);
    if (!target || !sender) return target ? 'dropped' : 'absent';
    const frame = encodeEnvelope(MessageType.PRIVMSG, payload);
    if (!fitsOneLine(frame)) return 'dropped';
    const running = isRunning(sender, target, clock.now());
    if (!deliveries.fits(target, frame, running)) {
      tally.dropped['target-busy']++;
      return 'busy';
    }
    deliveries.deliver(sender, target, frame, running);
    return 'delivered';
  }

  /** See `LocalSide.undelivered`. */
  undelivered(from: string, to: string): void {
    const { registry, deliveries } = this.#options;
    const sender = registry.byNick(from);
    if (sender) deliveries.tellGone(sender, to);
  }

  /** See `LocalSide.relay`. */
  relay(nick: string, payload: string): void {
    const { registry, budgets, tally } = this.#options;
    const peer = registry.byNick(nick);
    const route = parseRoute(payload);
    if (!peer || !route.ok) return;
    const kind = publicClass(route.value.text);
    const frame = encodeEnvelope(MessageType.PUBMSG, payload);
    if (!budgets.relay(kind, peer, frame)) tally.dropped[`budget-${kind}`]++;
  }
}
