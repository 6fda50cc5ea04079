/** The ways in which a maker of the soak misbehaves: one for each phase and each field. */

/** The message of the taker at which it happens. */
export type Phase = 'fill' | 'auth' | 'tx';

/** Fields of an `ioauth`, and what is wrong with them. */
export const IOAUTH_LIES = [
  'coin-missing',
  'coin-spent',
  'coin-foreign',
  'coin-twice',
  'coins-too-many',
  'coins-small',
  'coin-metadata',
  'auth-key',
  'auth-signature',
  'address-garbage',
  'address-network',
  'address-legacy',
  'address-same',
  'address-foreign',
  'text-garbage',
  'box-garbage',
] as const;
export type IoAuthLie = (typeof IOAUTH_LIES)[number];

/** Wrong keys of a `pubkey`. */
export const KEY_LIES = ['key-garbage', 'key-weak', 'key-other', 'key-twice'] as const;
export type KeyLie = (typeof KEY_LIES)[number];

/** Wrong signatures. */
export const SIGNATURE_LIES = [
  'signature-garbage',
  'signature-other-key',
  'signature-sighash',
  'signature-missing',
  'signature-high-s',
] as const;
export type SignatureLie = (typeof SIGNATURE_LIES)[number];

export type Misbehaviour =
  | { readonly kind: 'silent' | 'refuses' | 'cut' | 'restart'; readonly phase: Phase }
  | { readonly kind: 'key'; readonly lie: KeyLie }
  | { readonly kind: 'ioauth'; readonly lie: IoAuthLie }
  | { readonly kind: 'signature'; readonly lie: SignatureLie }
  /** Announces a fee that it does not accept at `tx`. */
  | { readonly kind: 'fee' }
  /** Spends its coins otherwise: between `ioauth` and `tx`, or after its signatures. */
  | { readonly kind: 'spends'; readonly when: 'before-tx' | 'after-signatures' }
  /** Signs, and does not broadcast what it is asked to. */
  | { readonly kind: 'keeps-push' };

const PHASES: readonly Phase[] = ['fill', 'auth', 'tx'];

export const MISBEHAVIOURS: readonly Misbehaviour[] = [
  ...(['silent', 'refuses', 'cut', 'restart'] as const).flatMap((kind) =>
    PHASES.map((phase) => ({ kind, phase })),
  ),
  ...KEY_LIES.map((lie) => ({ kind: 'key', lie }) as const),
  ...IOAUTH_LIES.map((lie) => ({ kind: 'ioauth', lie }) as const),
  ...SIGNATURE_LIES.map((lie) => ({ kind: 'signature', lie }) as const),
  { kind: 'fee' },
  { kind: 'spends', when: 'before-tx' },
  { kind: 'spends', when: 'after-signatures' },
  { kind: 'keeps-push' },
];

/** Short, for the report. */
export function nameOf(misbehaviour: Misbehaviour): string {
  switch (misbehaviour.kind) {
    case 'key':
    case 'ioauth':
    case 'signature':
      return `${misbehaviour.kind}:${misbehaviour.lie}`;
    case 'spends':
      return `spends:${misbehaviour.when}`;
    case 'fee':
    case 'keeps-push':
      return misbehaviour.kind;
    case 'silent':
    case 'refuses':
    case 'cut':
    case 'restart':
      return `${misbehaviour.kind}:${misbehaviour.phase}`;
  }
}

/** Whether it happens after `ioauth`, so that the round ends and another one begins without the maker. */
export function spoilsRound(misbehaviour: Misbehaviour): boolean {
  const { kind } = misbehaviour;
  if (kind === 'signature' || kind === 'fee' || kind === 'spends') return true;
  return 'phase' in misbehaviour && misbehaviour.phase === 'tx';
}
