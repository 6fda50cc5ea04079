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

function times(
  stamps: readonly Stamp[],
  nick: string,
  what: Stamp['what'],
  command: string,
): readonly number[] {
  return stamps.flatMap((stamp) =>
    stamp.nick === nick && stamp.what === what && stamp.command === command ? [stamp.atMs] : [],
  );
}

function known(atMs: number | undefined, what: string): number {
  if (atMs === undefined) throw new Error(`no ${what}`);
  return atMs;
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
      const sent = known(times(report.stamps, nick, 'sent', question)[0], `${question} was sent`);
      const heard = known(
        times(own, report.nick, 'received', question)[0],
        `${question} was received`,
      );
      const heardBack = times(report.stamps, nick, 'received', answer);
      const received = known(heardBack.at(-1), `${answer} was received`);
      // The maker may repeat it later. Its `send` may return after the taker has received the message.
      const written = times(own, report.nick, 'sent', answer)[heardBack.length - 1];
      const answered = Math.min(received, known(written, `${answer} was sent`));
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
