/** What a small node of regtest answers, for `startFakeNode`. */

export class FakeNodeError extends Error {
  constructor(
    readonly code: number,
    message: string,
  ) {
    super(message);
  }
}

/** The hash of the block at a height. */
export const fakeHash = (height: number): string => height.toString(16).padStart(64, '0');

export const FAKE_HEIGHT = 120;

const ANSWERS: Readonly<Record<string, (params: readonly unknown[]) => unknown>> = {
  getblockchaininfo: () => ({
    chain: 'regtest',
    blocks: FAKE_HEIGHT,
    headers: FAKE_HEIGHT,
    initialblockdownload: false,
    verificationprogress: 1,
    pruned: false,
  }),
  getnetworkinfo: () => ({ version: 290_400, subversion: '/Satoshi:29.4.0/', localrelay: true }),
  getindexinfo: () => ({}),
  getbestblockhash: () => fakeHash(FAKE_HEIGHT),
  getblockhash: ([height]) => {
    if (typeof height === 'number' && height <= FAKE_HEIGHT) return fakeHash(height);
    throw new FakeNodeError(-8, 'Block height out of range');
  },
  getblockheader: ([hash]) => {
    const height = Number.parseInt(String(hash), 16);
    return {
      hash,
      height,
      time: 1_600_000_000 + height,
      mediantime: 1_600_000_000 + height,
      confirmations: FAKE_HEIGHT - height + 1,
      ...(height > 0 && { previousblockhash: fakeHash(height - 1) }),
    };
  },
  gettxout: () => null,
  getmempoolinfo: () => ({ mempoolminfee: 0.000_01, minrelaytxfee: 0.000_01 }),
  estimatesmartfee: () => ({ feerate: 0.000_123_45, blocks: 6 }),
};

export function usualAnswer(method: string, params: readonly unknown[]): unknown {
  const answer = ANSWERS[method];
  if (answer === undefined) throw new FakeNodeError(-32_601, 'Method not found');
  return answer(params);
}
