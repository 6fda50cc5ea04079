/**
 * The gate of a private directory: asks the engine of admission. Loaded only when `[ADMISSION]` makes the
 * directory private.
 */
import { REASON_TEXT, type Decision, type HeldSession } from '../admission/api.js';
import type { AdmissionEngine } from '../admission/engine.js';
import type { EntryGate, EntryPass, GateAnswer } from '../directory/entry/gate.js';

/** What stands for an admission without an id of a code. */
const NO_ID = '-';

const WITHOUT_CODE =
  'this directory is private: it serves only peers that show a code of its operator; remove it from directory_nodes, or ask the operator';

function answerOf({ verdict, reason, codeId = NO_ID }: Decision): GateAnswer {
  if (verdict === 'OKAY') return { enters: true, pass: codeId };
  if (reason === 'no-code') return { enters: false, reason: 'private', text: WITHOUT_CODE };
  return {
    enters: false,
    reason: verdict === 'LIMITED' ? 'code-limited' : 'code',
    text: `this directory is private: ${REASON_TEXT[reason]}`,
  };
}

function heldBy({ nick, pass }: EntryPass): HeldSession {
  return { door: 'handshake', session: nick, codeId: pass === NO_ID ? undefined : pass };
}

/**
 * The gate of an engine.
 * @param now Unix milliseconds
 */
export function admissionGate(
  engine: Pick<AdmissionEngine, 'decide' | 'stays' | 'left'>,
  now: () => number,
): EntryGate {
  return {
    ask({ nick, location, code }) {
      if (code === undefined) return answerOf({ verdict: 'REJECT', reason: 'no-code' });
      const host = location?.replace(/:\d+$/, '');
      const decision = engine.decide({
        door: 'handshake',
        address: nick,
        aliases: location === undefined || host === undefined ? [] : [location, host],
        code: Buffer.from(code),
        now: now(),
      });
      return decision instanceof Promise ? decision.then(answerOf) : answerOf(decision);
    },
    stays: (pass) => engine.stays(heldBy(pass), now()),
    left: (pass) => engine.left(heldBy(pass)),
  };
}
