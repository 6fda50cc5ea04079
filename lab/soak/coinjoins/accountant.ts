/**
 * Reads every block of the node and keeps the accounts of all parties, from the seeds alone. It uses no
 * code of the wallet, the maker or the taker: a fault there cannot hide itself here.
 */
import type { BitcoinNode } from '../../../test/helpers/bitcoin-node.js';
import type { PartyKeys } from './party-keys.js';

/** What makers announced, as far as money is concerned. */
export interface AgreedOffer {
  readonly isRelative: boolean;
  /** Satoshi, or a decimal share of the amount. */
  readonly cjfee: string;
  /** Satoshi that the maker gives to the miners. */
  readonly txfee: number;
}

/** What was agreed before a coinjoin began. */
export interface Agreement {
  readonly round: number;
  readonly taker: string;
  /** Satoshi, or undefined for a sweep whose amount is not known. */
  readonly amount: number | undefined;
  /** The script of the destination, when it is not the taker's. */
  readonly foreign: string | undefined;
  /** By maker: what it announced then. */
  readonly offers: ReadonlyMap<string, AgreedOffer>;
  /** Makers that name an address of another party, or of a stranger, as theirs: they give their equal output away. */
  readonly givers: ReadonlySet<string>;
  /** Scripts of strangers to which they give it. */
  readonly givenTo: ReadonlySet<string>;
  /** Most satoshi that all makers and the miners get together: a cheaper maker leaves more to the miners. */
  readonly most: { readonly makerFees: number; readonly minerFee: number };
}

/** A coinjoin that is in a block. */
export interface MinedCoinjoin {
  readonly txid: string;
  readonly round: number;
  readonly amount: number;
  readonly makers: readonly string[];
  readonly makerFees: number;
  readonly minerFee: number;
}

interface RawBlock {
  readonly hash: string;
  readonly previousblockhash?: string;
  readonly tx: readonly RawTransaction[];
}
interface RawTransaction {
  readonly txid: string;
  readonly vin: readonly { readonly txid?: string; readonly vout?: number }[];
  readonly vout: readonly {
    readonly n: number;
    readonly value: number;
    readonly scriptPubKey: { readonly hex: string };
  }[];
}
interface OwnedCoin {
  readonly party: string;
  readonly value: number;
}

const EXTEND_BY = 40;
const MOST_EXTENSIONS = 3;
const sum = (values: Iterable<number>): number =>
  [...values].reduce((total, value) => total + value, 0);
const satoshi = (bitcoins: number): number => Math.round(bitcoins * 1e8);

/** The fee of an offer by the rule of the protocol: a share is rounded half to even (section 9.6). */
export function agreedFee({ isRelative, cjfee }: AgreedOffer, amount: number): number {
  if (!isRelative) return Number(cjfee);
  const [whole = '', fraction = ''] = cjfee.split('.');
  const divisor = 10n ** BigInt(fraction.length);
  const product = BigInt(amount) * BigInt(`${whole}${fraction}`);
  const floor = product / divisor;
  const twice = (product - floor * divisor) * 2n;
  const isUp = twice > divisor || (twice === divisor && floor % 2n === 1n);
  return Number(isUp ? floor + 1n : floor);
}

export class Accountant {
  readonly #node: BitcoinNode;
  readonly #parties: PartyKeys[];
  readonly #coins = new Map<string, OwnedCoin>();
  readonly #foreign = new Set<string>();
  /** Transactions that a party made on its own, by id. */
  readonly #ownSpends = new Map<string, string>();
  readonly #agreements: Agreement[] = [];
  #height = 0;
  #tip = '';
  /** What is wrong, one line each. */
  readonly faults: string[] = [];
  readonly coinjoins: MinedCoinjoin[] = [];

  constructor(node: BitcoinNode, parties: readonly PartyKeys[]) {
    this.#node = node;
    this.#parties = [...parties];
  }

  /** A script outside all wallets that may be paid: that of a destination. */
  allow(script: string): void {
    this.#foreign.add(script);
  }

  /** A transaction in which a party spends its own coins past its wallet. */
  expectSpend(txid: string, party: string): void {
    this.#ownSpends.set(txid, party);
  }

  /** Another party, before it is paid. */
  add(party: PartyKeys): void {
    this.#parties.push(party);
  }

  agree(agreement: Agreement): void {
    this.#agreements.push(agreement);
    if (agreement.foreign !== undefined) this.allow(agreement.foreign);
  }

  /** Satoshi of a party in blocks. */
  balanceOf(party: string): number {
    const own = [...this.#coins.values()].filter((coin) => coin.party === party);
    return sum(own.map(({ value }) => value));
  }

  /** Reads the blocks that are new. The chain must not have been reorganised. */
  async read(): Promise<void> {
    const best = await this.#node.rpc<number>('getblockcount');
    while (this.#height < best) {
      const hash = await this.#node.rpc<string>('getblockhash', this.#height + 1);
      const block = await this.#node.rpc<RawBlock>('getblock', hash, 2);
      if (this.#tip !== '' && block.previousblockhash !== this.#tip) {
        throw new Error('the chain was reorganised under the accountant');
      }
      for (const tx of block.tx) this.#book(tx);
      this.#height += 1;
      this.#tip = block.hash;
    }
  }

  /** Compares the sums with the node's set of unspent outputs, which it computes by itself. */
  async audit(): Promise<void> {
    for (const party of this.#parties) {
      const scripts = party.scripts.map((script) => `raw(${script})`);
      const { total_amount: total } = await this.#node.rpc<{ total_amount: number }>(
        'scantxoutset',
        'start',
        scripts,
      );
      const own = this.balanceOf(party.name);
      if (satoshi(total) !== own) {
        this.faults.push(`${party.name}: ${own} sat by the blocks, ${satoshi(total)} unspent`);
      }
    }
  }

  #ownerOf(script: string): string | undefined {
    return this.#parties.find((party) => party.owns(script))?.name;
  }

  /** The owner also of a script that is far beyond the last one used. */
  #findOwner(script: string): string | undefined {
    for (let tries = 0; ; tries += 1) {
      const owner = this.#ownerOf(script);
      if (owner !== undefined || tries === MOST_EXTENSIONS) return owner;
      for (const party of this.#parties) party.extend(EXTEND_BY);
    }
  }

  #book(tx: RawTransaction): void {
    const spent = new Map<string, number>();
    let isWhole = true;
    for (const { txid, vout } of tx.vin) {
      const name = `${txid ?? ''}:${vout ?? 0}`;
      const coin = this.#coins.get(name);
      if (coin === undefined) {
        isWhole = false;
        continue;
      }
      this.#coins.delete(name);
      spent.set(coin.party, (spent.get(coin.party) ?? 0) + coin.value);
    }
    const got = new Map<string, number>();
    const unknown: { readonly script: string; readonly value: number }[] = [];
    for (const { n, value, scriptPubKey } of tx.vout) {
      const script = scriptPubKey.hex;
      const isForeign = this.#foreign.has(script);
      const owner = spent.size > 0 && !isForeign ? this.#findOwner(script) : this.#ownerOf(script);
      if (owner === undefined) {
        unknown.push({ script, value: satoshi(value) });
        continue;
      }
      this.#coins.set(`${tx.txid}:${n}`, { party: owner, value: satoshi(value) });
      got.set(owner, (got.get(owner) ?? 0) + satoshi(value));
    }
    if (spent.size === 0) return;
    if (!isWhole) this.faults.push(`${tx.txid}: a coin of a stranger is in it`);
    if (this.#ownSpends.has(tx.txid)) this.#bookOwnSpend(tx, spent, unknown.length);
    else this.#bookCoinjoin(tx, spent, got, unknown);
  }

  #bookOwnSpend(tx: RawTransaction, spent: ReadonlyMap<string, number>, unknown: number): void {
    const party = this.#ownSpends.get(tx.txid) ?? '';
    if (spent.size !== 1 || !spent.has(party) || unknown > 0) {
      this.faults.push(`${tx.txid}: ${party} spent coins that are not its own`);
    }
  }

  #bookCoinjoin(
    tx: RawTransaction,
    spent: ReadonlyMap<string, number>,
    got: ReadonlyMap<string, number>,
    unknown: readonly { readonly script: string; readonly value: number }[],
  ): void {
    const fault = (text: string): void => void this.faults.push(`${tx.txid}: ${text}`);
    const counts = new Map<number, number>();
    for (const output of tx.vout) {
      const value = satoshi(output.value);
      counts.set(value, (counts.get(value) ?? 0) + 1);
    }
    const equal = [...counts].find(([, count]) => count === spent.size);
    if (equal === undefined) {
      fault(`${spent.size} parties and no ${spent.size} equal outputs`);
      return;
    }
    const [amount] = equal;
    const gainOf = (party: string): number => (got.get(party) ?? 0) - (spent.get(party) ?? 0);
    const earns = (offer: AgreedOffer): number => agreedFee(offer, amount) - offer.txfee;
    const paidBy = ({ givenTo }: Agreement): typeof unknown =>
      unknown.filter(({ script }) => !givenTo.has(script));
    const fits = (agreement: Agreement): boolean =>
      spent.has(agreement.taker) &&
      (agreement.amount ?? amount) === amount &&
      (agreement.foreign === undefined) === (paidBy(agreement).length === 0) &&
      paidBy(agreement).every(
        ({ script, value }) => script === agreement.foreign && value === amount,
      );
    // A transaction of an earlier round may confirm later: the newest agreement that fits.
    const agreement = this.#agreements.findLast(fits);
    if (agreement === undefined) {
      const strange = unknown.map(({ script, value }) => `${value} to ${script}`).join(', ');
      fault(`no round agreed on it (amount ${amount}; to strangers: ${strange || 'nothing'})`);
      return;
    }
    let makerFees = 0;
    const makers = [...spent.keys()].filter((party) => party !== agreement.taker);
    const isGiven = makers.some((maker) => agreement.givers.has(maker));
    for (const maker of makers) {
      const offer = agreement.offers.get(maker);
      if (offer === undefined) {
        fault(`${maker} took part and had offered nothing`);
        continue;
      }
      const gain = gainOf(maker);
      makerFees += earns(offer);
      if (agreement.givers.has(maker)) continue;
      if (isGiven ? gain < earns(offer) : gain !== earns(offer)) {
        fault(`${maker} got ${gain} sat, agreed were ${earns(offer)} (round ${agreement.round})`);
      }
    }
    for (const party of got.keys()) {
      if (!spent.has(party) && !isGiven) fault(`${party} was paid and did not take part`);
    }
    const paidOut = sum(paidBy(agreement).map(({ value }) => value));
    const minerFee =
      sum(spent.values()) - sum(got.values()) - sum(unknown.map(({ value }) => value));
    const most = agreement.most.makerFees + agreement.most.minerFee;
    if (minerFee < 0 || makerFees + minerFee > most) {
      fault(`makers got ${makerFees} and miners ${minerFee} sat of at most ${most} together`);
    }
    // With an address of the taker named by a giver, the taker has more.
    const cost = -gainOf(agreement.taker) - paidOut;
    if (isGiven ? cost > makerFees + minerFee : cost !== makerFees + minerFee) {
      fault(`the taker paid ${cost} sat, agreed were ${makerFees + minerFee}`);
    }
    const { round } = agreement;
    this.coinjoins.push({ txid: tx.txid, round, amount, makers, makerFees, minerFee });
  }
}
