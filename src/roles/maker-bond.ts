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
 */
export function bondCommands(
  { bond, tipHeight, funded }: MakerBond,
  makerNick: string,
  log: Log,
): (nick: string) => readonly string[] {
  const fault = ownBondFault(bond);
  if (fault !== undefined) throw new RangeError(`the bond cannot be proven: ${fault}`);
  let isOver = false;
  return (nick) => {
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
