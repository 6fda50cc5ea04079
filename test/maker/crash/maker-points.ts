const RECORDS = ['write journal', 'sync journal'];

/** The effects of a maker's life, in their order. */
export const MAKER_POINTS: readonly string[] = [
  'lock lock',
  // Of what was read of the chain.
  ...RECORDS,
  // Of the first lease and its addresses.
  ...RECORDS,
  'commitment',
  // Of the first signature.
  ...RECORDS,
  // For the taker that pushes.
  'broadcast',
  // Of the second lease.
  ...RECORDS,
  'commitment',
  // Of the second signature.
  ...RECORDS,
  // Of the third lease.
  ...RECORDS,
  'commitment',
  // Of the end of the third session.
  ...RECORDS,
  // Of the coinjoin that the mempool has.
  ...RECORDS,
];
