/** A maker's status with made-up values, for tests of its page, its metrics and its commands. */
import type { MakerCoinjoin, MakerStatus } from '../../src/maker/api.js';

/** 2026-11-28 12:00 UTC. */
export const SAMPLE_NOW = 1_795_867_200;
const DAY = 86_400;

/** Ids that no output of the page, of `/status` and of `/metrics` may have. */
export const PLANTED = {
  txid: 'aa'.repeat(32),
  unsignedTxid: 'bb'.repeat(32),
  outpoint: `${'cc'.repeat(32)}:0`,
  taker: 'J5PlantedTaker000',
};

export function sampleCoinjoin(daysAgo: number, more: Partial<MakerCoinjoin> = {}): MakerCoinjoin {
  const signedAt = SAMPLE_NOW - daysAgo * DAY;
  return {
    txid: PLANTED.txid,
    unsignedTxid: PLANTED.unsignedTxid,
    signedAt,
    confirmedAt: signedAt + 1_200,
    state: 'confirmed',
    amount: 12_345_678,
    inputs: 2,
    inputValue: 20_000_000,
    fee: 1_000,
    earned: 950,
    ...more,
  };
}

const pending = { confirmedAt: undefined, state: 'pending' } as const;

/** A year of coinjoins, the oldest first; one is not settled, one was replaced. */
export const YEAR: readonly MakerCoinjoin[] = [
  ...Array.from({ length: 120 }, (_, i) =>
    sampleCoinjoin(360 - 3 * i, { earned: 100 + ((i * 37) % 400), amount: 1_000_000 + i * 70_001 }),
  ),
  sampleCoinjoin(1, { ...pending, state: 'replaced' }),
  sampleCoinjoin(0, { ...pending, txid: undefined, earned: 70 }),
];

export function sampleStatus(more: Partial<MakerStatus> = {}): MakerStatus {
  return {
    network: 'signet',
    nick: 'J5SampleMaker0000',
    location: `${'m'.repeat(56)}.onion:5222`,
    reachable: true,
    offers: [
      {
        type: 'sw0reloffer',
        oid: 0,
        minsize: 105_000,
        maxsize: 250_123_456,
        txfee: 0,
        cjfee: '0.000020',
      },
    ],
    noOffer: undefined,
    mixdepths: [
      { mixdepth: 0, available: 250_200_000, held: 0 },
      { mixdepth: 1, available: 0, held: 12_000_000 },
      { mixdepth: 2, available: 1_000, held: 0 },
      { mixdepth: 3, available: 0, held: 0 },
      { mixdepth: 4, available: 7, held: 0 },
    ],
    sessions: [
      { taker: PLANTED.taker, step: 'tx', amount: 5_000_000, since: SAMPLE_NOW - 42 },
      { taker: PLANTED.taker, step: 'auth', amount: 7_000_000, since: SAMPLE_NOW - 3 },
    ],
    coinjoins: YEAR,
    bond: { outpoint: PLANTED.outpoint, value: 114_557_102_085, lockTime: 1_851_000_000 },
    nextIdentityAt: undefined,
    height: 927_001,
    ...more,
  };
}

/** A maker that has just begun: no coins, no offer, no bond, no identity. */
export const EMPTY_STATUS: MakerStatus = sampleStatus({
  nick: undefined,
  location: undefined,
  reachable: undefined,
  offers: [],
  noOffer: 'no mixdepth has enough confirmed coins',
  mixdepths: [{ mixdepth: 0, available: 0, held: 0 }],
  sessions: [],
  coinjoins: [],
  bond: undefined,
  nextIdentityAt: SAMPLE_NOW + 300,
});
