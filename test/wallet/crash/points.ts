const RECORDS = ['write journal', 'sync journal'];

/** The effects of a life, in their order. */
export const POINTS: readonly string[] = [
  'lock lock',
  // Of the deposit address, with what was read of the chain.
  ...RECORDS,
  // Of the lease and its addresses.
  ...RECORDS,
  // Of the signed coinjoin.
  ...RECORDS,
  // Of the payment's change address.
  ...RECORDS,
  // Of the signed payment.
  ...RECORDS,
  'broadcast',
  // Of the payment that was sent.
  ...RECORDS,
];
