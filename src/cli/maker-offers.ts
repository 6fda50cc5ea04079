/** The offers of `onionmc maker` by the settings; a value that allows none is a fault of the file. */
import { ConfigError } from '../config/config-error.js';
import type { Settings } from '../config/settings.js';
import { quotedLine } from '../kit/shown-text.js';
import { makeOffer, OfferTermsError } from '../maker/offers.js';
import type { Offer } from '../protocol/offer.js';
import { offerTerms } from '../roles/negotiation-settings.js';
import { UsageError } from './errors.js';

/**
 * One offer of `size` satoshi with the terms of `[YIELDGENERATOR]` and the offer type of `[POLICY]`, for a
 * maker without a wallet.
 */
export function offerFromSettings(settings: Settings, size: number): Offer {
  const { policy } = settings;
  const family = policy.segwit ? (policy.native ? 'sw0' : 'sw') : '';
  return withFaultsOf(settings, () => {
    try {
      return makeOffer(offerTerms(settings, family), size, Math.random);
    } catch (error) {
      if (!(error instanceof RangeError) || error instanceof OfferTermsError) throw error;
      throw new UsageError(error.message, { cause: error });
    }
  });
}

/** Throws a ConfigError, with the line of the file, in place of an `OfferTermsError`. */
export function withFaultsOf<T>({ configFile, cfg }: Settings, make: () => T): T {
  try {
    return make();
  } catch (error) {
    if (!(error instanceof OfferTermsError)) throw error;
    const { key, allowed } = error;
    const section = 'YIELDGENERATOR';
    const found = quotedLine(cfg.get(section, key) ?? error.found);
    throw new ConfigError(
      { file: configFile, line: cfg.lineOf(section, key), section, key, found, allowed },
      { cause: error },
    );
  }
}
