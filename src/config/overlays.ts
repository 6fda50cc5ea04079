import type { LocationKind } from '../protocol/location.js';

interface OverlayRow {
  /** The kind of its locations. */
  readonly kind: LocationKind;
  /** The addresses that `directory_nodes` may name in it, for error messages. */
  readonly addresses: string;
  /** The name of such an address, and the fix for any other address, for error messages. */
  readonly address: string;
  readonly fix: string;
}

/**
 * The overlays that a program can open, by their names in `overlays`. The order is that of the locations
 * of a program in several of them.
 */
export const OVERLAYS = {
  tor: {
    kind: 'onion',
    addresses: 'onion addresses, unless regtest_count is other than 0,0',
    address: 'an onion address',
    fix: 'give <56 characters>.onion or <56 characters>.onion:5222',
  },
  loopback: {
    kind: 'loopback',
    addresses: 'addresses of this machine (127.0.0.1:port), because regtest_count is not 0,0',
    address: 'an address of this machine',
    fix: 'give 127.0.0.1:port, because regtest_count is not 0,0',
  },
  lokinet: {
    kind: 'loki',
    addresses: 'addresses of Lokinet (<name>.loki:port)',
    address: 'an address of Lokinet',
    fix: 'give <name>.loki:port, and a section with type = lokinet',
  },
} as const satisfies Readonly<Record<string, OverlayRow>>;

export type OverlayName = keyof typeof OVERLAYS;

// The keys of the table, in its order.
// oxlint-disable-next-line no-unsafe-type-assertion
export const OVERLAY_NAMES = Object.keys(OVERLAYS) as readonly OverlayName[];

/** The overlay that reaches locations of this kind. */
export function overlayOf(kind: LocationKind): OverlayName | undefined {
  return OVERLAY_NAMES.find((name) => OVERLAYS[name].kind === kind);
}

/** The kinds of locations that these overlays reach. */
export function kindsOf(names: readonly OverlayName[]): readonly LocationKind[] {
  return names.map((name) => OVERLAYS[name].kind);
}
