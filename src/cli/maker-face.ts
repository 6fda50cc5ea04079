/** What an operator sees of a maker with a wallet: its page, its tests from outside, its line for systemd. */
import type { Dialer } from '../channel/ports.js';
import { counted, grouped } from '../kit/decimal.js';
import type { MakerStatus } from '../maker/api.js';
import { MakerFigures } from '../maker/figures.js';
import { earningsOf, makerHealth } from '../maker/status-view.js';
import type { Notifier } from '../ops/systemd-notifier.js';
import { systemClock } from '../overlay/system-clock.js';
import type { Network } from '../protocol/constants.js';
import { parseLocation } from '../protocol/location.js';
import { makerPageAddress, startMakerPage } from '../roles/maker-page.js';
import { OutsideTest } from '../roles/outside-test.js';
import type { WalletMakerRole } from '../roles/wallet-maker.js';
import { openAdmissionParts } from './admission-parts.js';
import type { Program } from './program.js';

/** Before the maker has its first status. */
function startingStatus(network: string): MakerStatus {
  return {
    network,
    nick: undefined,
    location: undefined,
    reachable: undefined,
    offers: [],
    noOffer: 'the maker is starting',
    mixdepths: [],
    sessions: [],
    coinjoins: [],
    bond: undefined,
    nextIdentityAt: undefined,
    height: 0,
  };
}

/** One line for `systemctl status`: no nick, no onion. */
export function statusLine(status: MakerStatus): string {
  const { offers, sessions, coinjoins } = status;
  const health = makerHealth(status);
  const { earned, confirmed } = earningsOf(coinjoins);
  const parts = [
    ...(health.ok ? [] : [health.reason ?? 'not healthy']),
    ...(health.ok ? [counted(offers.length, 'offer')] : []),
    counted(sessions.length, 'session'),
    `${grouped(earned)} sat earned by ${counted(confirmed, 'coinjoin')}`,
  ];
  return parts.join(', ');
}

/** Time from a change to the look at it. */
const LOOK_MS = 2_000;

export class MakerFace {
  readonly #program: Program;
  readonly #network: string;
  readonly #outside: OutsideTest;
  /** Counts the sessions that ended. */
  readonly figures = new MakerFigures();
  #role: WalletMakerRole | undefined;
  #tested = '';
  #told = '';
  #cancelLook: (() => void) | undefined;

  private constructor(program: Program, network: Network, dialer: Dialer) {
    this.#program = program;
    this.#network = network;
    this.#outside = new OutsideTest({
      dialer,
      network,
      clock: systemClock,
      random: Math.random,
      log: program.log,
    });
  }

  /**
   * Serves the page, if the settings give it a port. Rejects with a StatusAddressError.
   * @param dialer of the maker's own Tor
   */
  static async open(program: Program, network: Network, dialer: Dialer): Promise<MakerFace> {
    const { settings, log, shutdown } = program;
    const face = new MakerFace(program, network, dialer);
    shutdown.onStop('self-test', () => face.#outside.stop());
    const { door } = await openAdmissionParts(program);
    const page = await startMakerPage({
      ...makerPageAddress(settings),
      door,
      status: () => face.status(),
      figures: face.figures,
      outside: () => face.#outside.report,
      clock: systemClock,
      log,
    });
    if (page !== undefined) {
      shutdown.onStop('page', () => page.close());
      log.info('the page of the maker is served', { host: page.host, port: page.port });
    }
    return face;
  }

  /** The status of the maker, with the result of the tests from outside where there is one. */
  status(): MakerStatus {
    const status = this.#role?.status() ?? startingStatus(this.#network);
    return { ...status, reachable: this.#outside.report.reachable ?? status.reachable };
  }

  /** Follows the maker: tests each new location from outside, and tells systemd. */
  follow(role: WalletMakerRole, notifier: Notifier): void {
    this.#role = role;
    const later = (): void => this.#lookLater(notifier);
    const unfollow = role.onChange(later);
    this.#program.shutdown.onStop('status', () => {
      unfollow();
      this.#cancelLook?.();
    });
    later();
  }

  /** A status is some work, and each message to systemd is a process: several changes become one. */
  #lookLater(notifier: Notifier): void {
    this.#cancelLook ??= systemClock.after(LOOK_MS, () => {
      this.#cancelLook = undefined;
      const status = this.status();
      this.#testLocation(status);
      const line = statusLine(status);
      if (line !== this.#told) notifier.status(line);
      this.#told = line;
    });
  }

  #testLocation({ nick = '', location = '' }: MakerStatus): void {
    const key = `${nick} ${location}`;
    if (key === this.#tested) return;
    this.#tested = key;
    const parsed = parseLocation(location);
    this.#outside.watch(parsed.ok && nick !== '' ? { location: parsed.value, nick } : undefined);
  }
}
