/** `/healthz` of a page: whether the program works. */
import { json } from './answer.js';
import type { Route } from './page.js';

/** Whether the program works, and the reason if it does not (one line). */
export interface Health {
  /** Whether it works. */
  readonly ok: boolean;
  /** Why not; absent when it works. */
  readonly reason?: string;
}

/** 200 when ok, else 503; `{"ok", "reason"}`. */
export function healthRoute(health: () => Health): Route {
  return () => {
    const { ok, reason } = health();
    return json(ok ? 200 : 503, { ok, reason: reason ?? (ok ? 'ok' : 'unknown') });
  };
}
