/** `onionmc maker --wallet NAME`: a maker that takes part in coinjoins. */
import type { MakerCommandOptions } from './maker.js';

export async function runWalletMaker(name: string, options: MakerCommandOptions): Promise<void> {
  await Promise.reject(new Error(`not yet: ${name} ${options.size}`));
}
