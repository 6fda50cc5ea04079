/** The fee rate of a coinjoin: checks the limits and asks the chain. */
import { errorText } from '../../kit/error-text.js';
import type { Clock } from '../../channel/ports.js';
import { feeRate, feeTarget, policyFault } from './fees.js';
import type { NegotiationChannel } from '../resender.js';
import type { TakerChain } from '../ports.js';
import type { RandomBytes } from '../../protocol/encryption.js';
import type { RoundFault, TakerPolicy } from './api.js';
import { randomBelow } from './transaction.js';
import { shownText } from '../payloads.js';

interface RateOptions {
  readonly channel: NegotiationChannel;
  readonly chain: TakerChain;
  readonly clock: Clock;
  readonly randomBytes: RandomBytes;
  readonly signal?: AbortSignal | undefined;
  /** The rate, where it was agreed on before. */
  readonly feePerKb?: number;
}

export type Rate =
  | { readonly ok: true; readonly feePerKb: number }
  | { readonly ok: false; readonly fault: RoundFault; readonly detail: string };

const failed = (fault: RoundFault, detail: string): Rate => ({ ok: false, fault, detail });

/** The chain's estimate, with a timeout. */
function ask(
  { channel, chain, clock, signal }: RateOptions,
  blocks: number,
  waitMs: number,
): Promise<Rate | { readonly ok: true; readonly feePerKb: undefined }> {
  return new Promise((resolve) => {
    const abort = new AbortController();
    const end = (result: Parameters<typeof resolve>[0]): void => {
      cancel();
      channel.off('stopped', onStop);
      signal?.removeEventListener('abort', onStop);
      abort.abort();
      resolve(result);
    };
    const onStop = (): void => end(failed('stopped', 'the round was stopped'));
    const cancel = clock.after(waitMs, () => end(failed('port', 'chain: took too long')));
    channel.on('stopped', onStop);
    signal?.addEventListener('abort', onStop, { once: true });
    void (async () => {
      try {
        const feePerKb = await chain.feePerKb(blocks, abort.signal);
        if (feePerKb === undefined || feePerKb > 0) end({ ok: true, feePerKb });
        else end(failed('port', `chain: ${feePerKb} sat/kvB is not a fee rate`));
      } catch (error) {
        const detail = errorText(error);
        end(failed('port', shownText(`chain: ${detail}`)));
      }
    })();
    if (signal?.aborted === true) onStop();
  });
}

function agreed(feePerKb: number, { absurdFeePerKb }: TakerPolicy): Rate {
  if (Number.isSafeInteger(feePerKb) && feePerKb > 0 && feePerKb <= absurdFeePerKb) {
    return { ok: true, feePerKb };
  }
  const detail = `${feePerKb} sat/kvB is no rate from 1 to absurdFeePerKb, ${absurdFeePerKb}`;
  return failed('absurd-fee', detail);
}

/** The fee rate of a coinjoin, before any maker is contacted. Never rejects. */
export async function agreeOnRate(options: RateOptions, policy: TakerPolicy): Promise<Rate> {
  const fault = policyFault(policy);
  if (fault !== undefined) return failed(fault.fault, fault.detail);
  if (options.feePerKb !== undefined) return agreed(options.feePerKb, policy);
  const blocks = feeTarget(policy);
  const asked =
    blocks === undefined
      ? { ok: true as const, feePerKb: undefined }
      : await ask(options, blocks, policy.portWaitMs);
  if (!asked.ok) return asked;
  const chance = randomBelow(1_000_000, options.randomBytes) / 1_000_000;
  return feeRate(policy, asked.feePerKb, chance);
}
