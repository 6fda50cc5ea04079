/** `onionmc taker`: only dials; collects the orderbook, and can ask a maker something. */
import type { OnionMessageChannel } from '../channel/message-channel.js';
import type { Settings } from '../config/settings.js';
import { systemClock } from '../overlay/system-clock.js';
import { counted, grouped } from '../kit/decimal.js';
import type { BookBond } from '../orderbook/book-api.js';
import { shownJson, shownLine } from '../kit/shown-text.js';
import { isCommandName, COMMANDS, type CommandName } from '../protocol/commands.js';
import { formatLocation } from '../protocol/location.js';
import { bondPolicy } from '../roles/negotiation-settings.js';
import { startTaker, type Taker } from '../roles/taker.js';
import { UsageError } from './errors.js';
import { firstDirectory, pause, upCount } from './first-directory.js';
import { directoryLines, orderbookJson, orderbookTable } from './orderbook-view.js';
import { openBonds, openPeer, startAudit } from './peer.js';
import { print, printScreen } from './print.js';
import { openProgram, type CommonOptions } from './program.js';

interface TakerCommandOptions extends CommonOptions {
  readonly once?: boolean;
  readonly json?: boolean;
  readonly wait?: number;
  readonly ask?: readonly string[];
}

/** An answer to `--ask` is shown in full: no line of the protocol is longer. */
const MAX_ANSWER = 40_000;
const REDRAW_MS = 1_000;

interface Request {
  readonly nick: string;
  readonly command: CommandName;
  readonly args: string;
}

function parseRequest(words: readonly string[]): Request {
  const [nick, command, ...args] = words;
  if (nick === undefined || command === undefined || args.length === 0) {
    throw new UsageError(
      '--ask needs a nick, a command and its arguments, e.g. --ask J5... fill 0 100000 KEY COMMITMENT',
    );
  }
  if (!isCommandName(command) || !COMMANDS[command].private) {
    const known = Object.entries(COMMANDS).flatMap(([name, rule]) => (rule.private ? [name] : []));
    throw new UsageError(`--ask: ${command} is not a private command; known: ${known.join(', ')}`);
  }
  const { minArgs } = COMMANDS[command];
  if (args.length < minArgs) {
    throw new UsageError(
      `--ask: ${command} takes ${minArgs} arguments at least, not ${args.length}`,
    );
  }
  return { nick, command, args: args.join(' ') };
}

/** The bond of each maker now. */
function bondsOf(taker: Taker): (maker: string) => BookBond | undefined {
  const bonds = new Map(taker.live.snapshot().entries.map(({ maker, bond }) => [maker, bond]));
  return (maker) => bonds.get(maker);
}

/** Number of makers whose bond has a known value; nothing when there is none. */
function bondedText(taker: Taker): string {
  const { entries } = taker.live.snapshot();
  const bonded = new Set(
    entries.flatMap(({ maker, bond }) => (bond?.value === undefined ? [] : [maker])),
  );
  return bonded.size === 0 ? '' : `, ${grouped(bonded.size)} with a bond of known value`;
}

function showLive(taker: Taker, channel: OnionMessageChannel): () => void {
  const terminal = process.stdout.isTTY;
  let changed = true;
  const change = (): boolean => (changed = true);
  taker.events.on('change', change);
  channel.on('directory-up', change);
  channel.on('directory-down', change);
  const draw = (): void => {
    if (!terminal && !changed) return;
    changed = false;
    const offers = taker.book.offers();
    const lines = [
      `${counted(offers.length, 'offer')} of ${counted(taker.book.makers, 'maker')}${bondedText(taker)}, as ${channel.nick}`,
      ...directoryLines(channel.directories()),
      '',
      orderbookTable(offers, upCount(channel)),
    ];
    printScreen(lines.join('\n'));
  };
  const timer = setInterval(draw, REDRAW_MS);
  draw();
  return () => clearInterval(timer);
}

async function ask(taker: Taker, request: Request, waitMs: number, json: boolean): Promise<void> {
  const { nick, command, args } = request;
  const answer = await taker.ask(nick, command, args, waitMs);
  const [first] = answer.commands;
  const { sentBy, route } = answer;
  const routeText = (r: typeof route): string =>
    r.kind === 'direct' ? 'direct' : `directory ${formatLocation(r.location)}`;
  const text = json
    ? shownJson({
        nick,
        commands: answer.commands,
        sentBy: routeText(sentBy),
        answeredBy: routeText(route),
        rttMs: Math.round(answer.rttMs),
      })
    : `${nick}: ${shownLine(`${first.name} ${first.args.join(' ')}`, MAX_ANSWER)}\n(sent by ${routeText(sentBy)}, answered by ${routeText(route)}, ${Math.round(answer.rttMs)} ms)`;
  print(text);
}

/** How long offers are collected, or an answer is awaited. */
export function patienceOf({ timeout }: Settings, seconds?: number): number {
  return 1000 * (seconds ?? timeout.makerTimeoutSec);
}

export async function runTaker(options: TakerCommandOptions): Promise<void> {
  const request = options.ask === undefined ? undefined : parseRequest(options.ask);
  if (options.json === true && options.once !== true && request === undefined) {
    throw new UsageError('--json goes with --once or --ask');
  }
  const program = await openProgram('taker', options, { endsWithTerminal: true });
  const { settings, log, shutdown } = program;
  const { channel } = await openPeer(program, false);
  // It takes hours to tell a directory that withholds messages from one that loses some.
  const lives = request === undefined && options.once !== true;
  const audit = lives ? await startAudit(program, channel) : undefined;
  const chain = request === undefined ? openBonds(program) : undefined;
  const taker = startTaker({
    channel,
    ...(chain && { chain }),
    clock: systemClock,
    log,
    bondPolicy: bondPolicy(settings),
    ...(audit && { audit }),
  });
  shutdown.onStop('taker', () => taker.stop());
  const waitMs = patienceOf(settings, options.wait);

  if (request !== undefined) {
    await firstDirectory(channel);
    taker.refresh();
    await ask(taker, request, waitMs, options.json === true);
    await shutdown.stop();
  } else if (options.once === true) {
    // A directory that cannot be reached does not delay the others.
    await firstDirectory(channel);
    taker.refresh();
    await pause(waitMs);
    const offers = taker.book.offers();
    const text =
      options.json === true
        ? orderbookJson(offers, channel.directories(), systemClock.now(), bondsOf(taker))
        : orderbookTable(offers, upCount(channel));
    print(text);
    await shutdown.stop();
  } else {
    const stop = showLive(taker, channel);
    shutdown.onStop('table', stop);
  }
}
