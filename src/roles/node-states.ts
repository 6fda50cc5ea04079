/** The state of a directory's service, and how often it entered each state. */
import type { Clock, ServiceState } from '../channel/ports.js';
import type { Health } from '../http/health.js';
import { SERVICE_STATES, type NodeStateName } from './directory-metrics.js';
import type { Counts } from './directory-figures.js';

export type NodeState = ServiceState | { readonly state: 'stopping' };

export class NodeStates {
  readonly #clock: Clock;
  #since: number;
  #current: NodeState = { state: 'starting', detail: 'not served yet' };
  /** This object is changed, never replaced. */
  readonly #entered: Record<NodeStateName, number> = {
    starting: 1,
    reachable: 0,
    lost: 0,
    stopping: 0,
  };

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#since = clock.now();
  }

  get name(): NodeStateName {
    return this.#current.state;
  }

  get entered(): Readonly<Record<NodeStateName, number>> {
    return this.#entered;
  }

  /** How long the state holds. */
  get seconds(): number {
    return Math.round((this.#clock.now() - this.#since) / 1000);
  }

  enter(next: NodeState): void {
    if (next.state !== this.name) {
      this.#entered[next.state]++;
      this.#since = this.#clock.now();
    }
    this.#current = next;
  }

  /** The previous process was in this state for so long already. */
  resumeTime(seconds: number): void {
    if (this.name === 'reachable') this.#since -= seconds * 1000;
  }

  /** Continues the counts of the previous process, which entered the current state. */
  resume(entered: Counts = {}): void {
    for (const name of SERVICE_STATES) this.#entered[name] = entered[name] ?? this.#entered[name];
  }

  health(): Health {
    const state = this.#current;
    switch (state.state) {
      case 'reachable':
        return { ok: true };
      case 'starting':
        return { ok: false, reason: `starting: ${state.detail}` };
      case 'lost':
        return { ok: false, reason: `not reachable: ${state.detail}` };
      case 'stopping':
        return { ok: false, reason: 'stopping' };
    }
  }
}
