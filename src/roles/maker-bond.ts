/** Adds a maker's bond to its private answers (docs/protocol.md, sections 8.5 and 11). */
import type { Log } from '../channel/log.js';
import {
  certExpired,
  formatFidelityBond,
  proveFidelityBond,
  type OwnBond,
} from '../protocol/fidelity-bond.js';
import { ownBondFault } from '../protocol/own-bond.js';

/** A maker's bond, and what tells whether its certificate has expired. */
export interface MakerBond {
  /** The bond; see `readBondFile`. */
  readonly bond: OwnBond;
  /** Height of the chain, if known: an expired certificate is not shown. */
  readonly tipHeight?: () => number | undefined;
  /** Whether the coin is there, if a node is asked: a bond without its coin is not shown. */
  readonly funded?: () => boolean;
}

/**
 * The commands after the offers in a private answer to a nick: one `tbond`, or none. The proof is
 * signed for this nick and is not valid for another. Throws a RangeError for a bond whose certificate
 * does not verify, or whose key is the coin's own.
 * @param given the bond, or a function that returns the bond to show now
 */
export function bondCommands(
  given: MakerBond | (() => MakerBond | undefined),
  makerNick: string,
  log: Log,
): (nick: string) => readonly string[] {
  const current = typeof given === 'function' ? given : () => given;
  const checked = new WeakSet<OwnBond>();
  const check = ({ bond }: MakerBond): void => {
    if (checked.has(bond)) return;
    const fault = ownBondFault(bond);
    if (fault !== undefined) throw new RangeError(`the bond cannot be proven: ${fault}`);
    checked.add(bond);
  };
  const atStart = current();
  if (atStart !== undefined) check(atStart);
  let isOver = false;
  return (nick) => {
    const own = current();
    if (own === undefined) return [];
    check(own);
    const { bond, tipHeight, funded } = own;
    if (funded?.() === false) return [];
    const height = tipHeight?.();
    if (height !== undefined && certExpired(bond.certExpiry, height)) {
      if (!isOver) log.warn('the certificate of the bond has expired: offers are sent without it');
      isOver = true;
      return [];
    }
    return [`tbond ${formatFidelityBond(proveFidelityBond(bond, makerNick, nick))}`];
  };
}
