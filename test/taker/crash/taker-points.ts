const RECORDS = ['write journal', 'sync journal'];

/** The effects of a taker's life, in their order. */
export const TAKER_POINTS: readonly string[] = [
  'lock lock',
  // Of what was read of the chain.
  ...RECORDS,
  // Of the proof of the round that is stopped, and of its end.
  ...RECORDS,
  ...RECORDS,
  // Of the proof, and of its use.
  ...RECORDS,
  ...RECORDS,
  'commitments.json',
  // Of the lease with its addresses, the signature, and the complete transaction.
  ...RECORDS,
  ...RECORDS,
  ...RECORDS,
  'broadcast',
  // Of the coinjoin that was sent.
  ...RECORDS,
];

/** Killed here, a proof is stored as used, and no maker has seen it. */
export const isClaimingAt = (at: number): boolean => {
  const file = TAKER_POINTS.indexOf('commitments.json');
  return at === file || at === file + 1 || at === file - 1;
};
