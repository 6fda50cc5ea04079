/** The phases of a round, from the stamps of its taker and its makers. */
import type { Stamp } from './coinjoin-scene.js';
import type { TakerReport } from './coinjoin-taker-process.js';

const PHASES = [
  ['fill', 'pubkey'],
  ['auth', 'ioauth'],
  ['tx', 'sig'],
] as const;

/** The answer of the slowest maker: from the taker's `send` to the last message of the answer. */
export interface Phase {
  readonly name: string;
  readonly allMs: number;
  readonly outMs: number;
  readonly atMakerMs: number;
  readonly backMs: number;
}

export interface Judged {
  readonly tookMs: number;
  readonly cpuMs: number;
  readonly slowestMs: number;
  readonly phases: readonly Phase[];
}

/** @param last the last such message, for an answer of several; otherwise the first */
function at(
  stamps: readonly Stamp[],
  nick: string,
  what: Stamp['what'],
  command: string,
  last = false,
): number {
  const all = stamps.filter(
    (stamp) => stamp.nick === nick && stamp.what === what && stamp.command === command,
  );
  const found = last ? all.at(-1) : all[0];
  if (found === undefined) throw new Error(`no ${command} was ${what}`);
  return found.atMs;
}

/** @param makers the stamps of each maker; the taker's have the nicks */
export function judge(
  side: string,
  report: TakerReport,
  makers: readonly (readonly Stamp[])[],
): Judged {
  const nicks = report.makers;
  const phases = PHASES.map(([question, answer]): Phase => {
    const answers = nicks.map((nick, n): Phase => {
      const own = makers[n] ?? [];
      const sent = at(report.stamps, nick, 'sent', question);
      const heard = at(own, report.nick, 'received', question);
      const answered = at(own, report.nick, 'sent', answer, true);
      const received = at(report.stamps, nick, 'received', answer, true);
      return {
        name: `${question}, ${answer}`,
        allMs: received - sent,
        outMs: heard - sent,
        atMakerMs: answered - heard,
        backMs: received - answered,
      };
    });
    const [first, ...others] = answers;
    if (first === undefined) throw new Error(`${side}: a round without makers`);
    return others.reduce((slowest, one) => (one.allMs > slowest.allMs ? one : slowest), first);
  });
  return {
    tookMs: report.endedMs - report.startedMs,
    cpuMs: report.cpuMs,
    slowestMs: phases.reduce((sum, { allMs }) => sum + allMs, 0),
    phases,
  };
}
