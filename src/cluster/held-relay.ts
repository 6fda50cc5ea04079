/** Public messages that wait for the node that speaks for their peer: when they are relayed here after all. */
import type { LocalSide } from '../directory/neighbours.js';
import type { Copies } from './copies.js';
import type { Held } from './held.js';
import type { ClusterRecord } from './record.js';
import type { RemoteView } from './remote-view.js';

export interface HeldRelayOptions {
  readonly held: Held;
  readonly copies: Copies;
  readonly view: RemoteView;
  readonly local: () => LocalSide | undefined;
  readonly send: (to: string, record: ClusterRecord) => void;
}

export class HeldRelay {
  readonly #options: HeldRelayOptions;

  constructor(options: HeldRelayOptions) {
    this.#options = options;
  }

  /** Relays what waited of a peer for which this node speaks now. */
  release(nick: string): void {
    const { held, copies, local } = this.#options;
    for (const { payload, ordinal } of held.take(nick)) {
      if (copies.isRelayed(nick, payload, ordinal)) continue;
      copies.relayed(nick, payload);
      local()?.relay(nick, payload);
    }
  }

  /** The same of all peers. */
  releaseAll(): void {
    for (const nick of this.#options.held.nicks()) this.release(nick);
  }

  /** Forgets what is old, and asks the nodes of silent connections whether these live. */
  sweep(): void {
    const { held, copies, view, send } = this.#options;
    held.sweep(
      (nick, { payload, ordinal }) => copies.isRelayed(nick, payload, ordinal),
      (nick) => {
        for (const node of view.presences(nick).keys()) send(node, { type: 'probe', nick });
      },
    );
  }
}
