/** `/healthz` of a page: whether the program works. */
import { json } from './answer.js';
import type { Route } from './page.js';

/** Whether the program works, and the reason if it does not (one line). */
export interface Health {
  /** Whether it works. */
  readonly ok: boolean;
  /** Why not; absent when it works. */
  readonly reason?: string;
  /** What does not work although the program does (one line); only when it works. */
  readonly remark?: string;
}

/** 200 when ok, else 503; `{"ok", "reason"}`, where the reason may also be a remark. */
export function healthRoute(health: () => Health): Route {
  return () => {
    const { ok, reason, remark } = health();
    return json(ok ? 200 : 503, { ok, reason: reason ?? remark ?? (ok ? 'ok' : 'unknown') });
  };
}
