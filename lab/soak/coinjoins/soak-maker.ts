/** A maker of the soak: the shipped maker with a real wallet, which can be made to misbehave for a round. */
import { silentLog } from '../../../src/channel/log.js';
import {
  openMessageChannel,
  type OnionMessageChannel,
} from '../../../src/channel/message-channel.js';
import { ChainError } from '../../../src/chain/chain-error.js';
import type { Chain } from '../../../src/chain/ports.js';
import { largestFillable } from '../../../src/maker/offers.js';
import { WalletMaker } from '../../../src/maker/wallet-maker.js';
import type { RequestLimits } from '../../../src/negotiation/maker/request-limits.js';
import type { CommitmentStore } from '../../../src/negotiation/ports.js';
import { createLoopbackOverlay } from '../../../src/overlay/loopback.js';
import { systemClock } from '../../../src/overlay/system-clock.js';
import type { Location } from '../../../src/protocol/location.js';
import { nickKey } from '../../../src/protocol/nick.js';
import { DUST_THRESHOLD, type Offer } from '../../../src/protocol/offer.js';
import { startMaker, type Maker } from '../../../src/roles/maker.js';
import { createMemoryCommitments } from '../../../test/helpers/coinjoin-world.js';
import { cuttable, type Cuttable } from './cuttable.js';
import { DishonestMaker, type Loot } from './dishonest-maker.js';
import { gateOf, type Gate, type GateRules } from './gate.js';
import type { Misbehaviour, Phase } from './misbehaviour.js';
import { CUT_MS, NETWORK, SHORTENED } from './settings.js';
import { unixTime, type SoakWallet } from './soak-wallet.js';

/** What a maker asks; the accountant knows it. */
export interface OfferTerms {
  readonly isRelative: boolean;
  readonly cjfee: string;
  readonly txfee: number;
}

export interface SoakMakerParts {
  readonly name: string;
  readonly wallet: SoakWallet;
  readonly chain: Chain;
  readonly directory: Location;
  /** 32 bytes: of the nick. */
  readonly nickSecret: Uint8Array;
  /** Limits for requests; by default so high that they never matter. */
  readonly limits?: Partial<RequestLimits> | undefined;
}

/** What a dishonest maker needs beside its own. */
export interface Trouble {
  readonly loot: Loot;
  readonly broadcast: (transaction: Uint8Array) => Promise<void>;
  /** Told before it spends coins past its wallet. */
  readonly onOwnSpend: (transaction: Uint8Array) => void;
}

const QUICK = {
  backoffFirstMs: 200,
  peerRetryMs: 200,
  peerDialJitterMs: 20,
} as const;
/** Sessions of one taker in all its rounds; refusals would hide what is tested. */
const LIMITS = { fillsPerNick: 600, fillsPerLink: 100, fillsTotal: 100 } as const;
const LEAST = 50_000;

/** Faults after which a maker asks the node again. */
const SILENCES: ReadonlySet<ChainError['fault']> = new Set(['unreachable', 'timeout']);

const isAt = (phase: Phase, name: string): boolean => phase === name;

export class SoakMaker {
  readonly name: string;
  readonly #parts: SoakMakerParts;
  readonly #commitments: CommitmentStore = createMemoryCommitments();
  readonly #network: Cuttable = cuttable(createLoopbackOverlay({ host: '127.0.0.1', port: 0 }));
  readonly #channel: OnionMessageChannel;
  readonly #gate: Gate;
  #walletMaker: WalletMaker | undefined;
  #following: { readonly stop: AbortController; readonly ended: Promise<void> } | undefined;
  #maker: Maker | undefined;
  #dishonest: DishonestMaker | undefined;
  #offer: Offer | undefined;
  /** A restart or a cut that runs. */
  #trouble: Promise<void> = Promise.resolve();
  /** Faults of wallet and chain that its sessions did not expect. */
  readonly faults: string[] = [];
  /** Looks at the chain that the node did not answer; the maker looks again. */
  unanswered = 0;

  constructor(parts: SoakMakerParts) {
    this.name = parts.name;
    this.#parts = parts;
    this.#channel = openMessageChannel({
      network: NETWORK,
      directories: [parts.directory],
      overlay: this.#network.overlay,
      nickKey: nickKey(parts.nickSecret),
      serve: true,
      clock: systemClock,
      random: Math.random,
      log: silentLog,
      timings: QUICK,
    });
    this.#gate = gateOf(this.#channel);
  }

  get nick(): string {
    return this.#channel.nick;
  }

  get wallet(): SoakWallet {
    return this.#parts.wallet;
  }

  get offer(): Offer | undefined {
    return this.#offer;
  }

  /** Resolves when it is connected and follows the chain. */
  async start(): Promise<void> {
    this.#openWallet();
    this.#startMaker();
    if (!this.#channel.welcomed) {
      await new Promise<void>((resolve) => this.#channel.once('welcome', () => resolve()));
    }
  }

  /** Announces one offer for what its wallet can give now; none when it can give nothing. */
  announce({ isRelative, cjfee, txfee }: OfferTerms): Offer | undefined {
    const available = Math.max(0, ...this.#made.funds().map((funds) => funds.available));
    const type = isRelative ? 'sw0reloffer' : 'sw0absoffer';
    const maxsize = largestFillable({ type, txfee, cjfee }, available);
    const offer: Offer = { type, oid: 0, minsize: DUST_THRESHOLD, maxsize, txfee, cjfee };
    this.#offer = maxsize < LEAST ? undefined : offer;
    this.#maker?.setOffers(this.#offer === undefined ? [] : [this.#offer]);
    return this.#offer;
  }

  /** Misbehaves until `behave`. */
  async misbehave(misbehaviour: Misbehaviour, trouble: Trouble): Promise<void> {
    const request = { mixdepth: 1, purpose: 'deposit' } as const;
    const { script } = await this.wallet.open.handOut(request);
    this.#gate.rules = this.#rulesOf(misbehaviour, trouble, script);
  }

  /** Is honest again. Resolves when what it began is over. */
  async behave(): Promise<void> {
    this.#gate.rules = {};
    await this.#trouble;
    await this.#dishonest?.stop();
    this.#dishonest = undefined;
    this.#network.restore();
    if (!this.#channel.welcomed) throw new Error(`${this.name} is not connected`);
  }

  /** Whether a negotiation runs, or a reservation is held. */
  get isBusy(): boolean {
    return this.sessions > 0 || this.reservations > 0;
  }

  /** Negotiations that run. */
  get sessions(): number {
    return this.#maker?.sessions ?? 0;
  }

  /** Reservations that were not settled. */
  get reservations(): number {
    return this.#made.reservations;
  }

  async close(): Promise<void> {
    await this.#dishonest?.stop();
    await this.#closeWallet();
    await this.#channel.close();
  }

  get #made(): WalletMaker {
    if (this.#walletMaker === undefined) throw new Error(`the wallet of ${this.name} is closed`);
    return this.#walletMaker;
  }

  #openWallet(): void {
    const { wallet, chain } = this.#parts;
    const made = new WalletMaker({
      wallet: wallet.open,
      chain,
      log: silentLog,
      unixTime,
      policy: SHORTENED,
    });
    const stop = new AbortController();
    const ended = made.follow({
      signal: stop.signal,
      clock: systemClock,
      onChange: () => {},
      onFault: (error) => {
        const isSilent = error instanceof ChainError && SILENCES.has(error.fault);
        if (isSilent) this.unanswered += 1;
        else this.faults.push(`${this.name}: ${String(error)}`);
      },
    });
    this.#walletMaker = made;
    this.#following = { stop, ended };
  }

  async #closeWallet(): Promise<void> {
    this.#maker?.stop();
    this.#maker = undefined;
    const made = this.#walletMaker;
    this.#walletMaker = undefined;
    this.#following?.stop.abort();
    await this.#following?.ended;
    await made?.idle();
    await this.wallet.close();
  }

  #startMaker(): void {
    this.#maker?.stop();
    const { chain } = this.#parts;
    this.#maker = startMaker({
      channel: this.#gate.channel,
      offers: this.#offer === undefined ? [] : [this.#offer],
      clock: systemClock,
      log: silentLog,
      requestLimits: this.#parts.limits ?? LIMITS,
      blacklist: { store: this.#commitments },
      coinjoins: { network: NETWORK, wallet: this.#made, chain, policy: SHORTENED },
    });
  }

  async #restart(): Promise<void> {
    await this.#closeWallet();
    await this.wallet.reopen();
    this.#openWallet();
    this.#startMaker();
  }

  async #cut(): Promise<void> {
    this.#network.cut();
    await new Promise((resolve) => setTimeout(resolve, CUT_MS));
    const back = new Promise<void>((resolve) =>
      this.#channel.once('directory-up', () => resolve()),
    );
    this.#network.restore();
    await back;
  }

  #rulesOf(misbehaviour: Misbehaviour, trouble: Trouble, refuge: string): GateRules {
    const { kind } = misbehaviour;
    switch (kind) {
      case 'silent':
        return { receives: ({ commands: [{ name }] }) => !isAt(misbehaviour.phase, name) };
      case 'refuses':
      case 'fee': {
        const phase = kind === 'fee' ? 'tx' : misbehaviour.phase;
        return {
          receives: ({ from, commands: [{ name }] }) => {
            if (!isAt(phase, name)) return true;
            this.#channel.send(from, 'error', kind === 'fee' ? 'the fee is too low' : 'no');
            return false;
          },
        };
      }
      case 'cut':
      case 'restart':
        return this.#once(misbehaviour.phase, () =>
          kind === 'cut' ? this.#cut() : this.#restart(),
        );
      case 'keeps-push':
        return { receives: ({ commands: [{ name }] }) => name !== 'push' };
      case 'key':
        return {
          says: (command, args) => {
            if (command !== 'pubkey') return [args];
            const other = 'ab'.repeat(32);
            if (misbehaviour.lie === 'key-garbage') return ['xyz'];
            if (misbehaviour.lie === 'key-weak') return ['00'.repeat(32)];
            return misbehaviour.lie === 'key-other' ? [other] : [args, other];
          },
        };
      case 'ioauth':
      case 'signature':
      case 'spends':
        return this.#byHand(misbehaviour, trouble, refuge);
    }
  }

  /** At the first message of the phase, which is lost. */
  #once(phase: Phase, act: () => Promise<void>): GateRules {
    let isDone = false;
    return {
      receives: ({ commands: [{ name }] }) => {
        if (isDone || !isAt(phase, name)) return true;
        isDone = true;
        this.#trouble = act().catch((error: unknown) => {
          this.faults.push(`${this.name}: ${String(error)}`);
        });
        return false;
      },
    };
  }

  #byHand(misbehaviour: Misbehaviour, trouble: Trouble, refuge: string): GateRules {
    const { loot, broadcast, onOwnSpend } = trouble;
    const { wallet } = this.#parts;
    if (this.#offer === undefined) return {};
    const dishonest = new DishonestMaker({
      channel: this.#channel,
      network: NETWORK,
      wallet: this.#made,
      keys: wallet.keys,
      offers: [this.#offer],
      misbehaviour,
      loot,
      broadcast,
      onOwnSpend,
      refuge,
    });
    this.#dishonest = dishonest;
    const byHand = new Set(['fill', 'auth', 'tx', 'push']);
    return {
      receives: (message) => {
        if (!byHand.has(message.commands[0].name)) return true;
        dishonest.receive(message);
        return false;
      },
    };
  }
}
