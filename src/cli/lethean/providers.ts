/** `onionmc lethean providers`: search and list. */
import { needed } from '../../lethean/config/settings.js';
import { Market } from '../../lethean/market/market.js';
import { ordered, type OfferFilter } from '../../lethean/market/offers.js';
import { offerView } from '../../lethean/page/views.js';
import { shownLine } from '../../kit/shown-text.js';
import { print, printJson, printNote } from '../print.js';
import { settingsOf, type Given } from './options.js';
import { foldersOf, secondsNow } from './parts.js';
import { offerTable } from './views.js';

export interface ProvidersOptions extends Given {
  readonly kept?: boolean;
  readonly type?: 'vpn' | 'proxy';
  readonly country?: string;
  readonly maxCost?: bigint;
  readonly minSpeed?: number;
  readonly keepUnknown?: boolean;
  readonly first?: 'cost' | 'speed';
  readonly json?: boolean;
}

export async function runProviders(options: ProvidersOptions): Promise<void> {
  const settings = await settingsOf(options);
  const { kept, type, country, maxCost, minSpeed, keepUnknown, first = 'cost' } = options;
  const market = new Market({
    folders: foldersOf(settings),
    sdpUrl: needed(settings.values, 'sdp-url').href,
    now: secondsNow,
  });
  const filter: OfferFilter = {
    keepUnknown: keepUnknown === true,
    ...(type === undefined ? {} : { type }),
    ...(country === undefined ? {} : { country }),
    ...(maxCost === undefined ? {} : { maxPricePerDay: maxCost }),
    ...(minSpeed === undefined ? {} : { minKbps: minSpeed }),
  };
  const found =
    kept === true
      ? await market.knownOffers(filter)
      : await market.search(filter, AbortSignal.timeout(120_000));
  const offers = ordered(found.offers, { first }).map((offer) => offerView(offer));
  const { unknown, refused } = found;
  if (options.json === true) {
    printJson({ offers, unknown, refused });
    return;
  }
  if (offers.length > 0) print(offerTable(offers));
  else printNote('no offer keeps to the filter');
  if (unknown > 0) {
    printNote(`${unknown} more do not name their country or speed: --keep-unknown lists them`);
  }
  for (const reason of refused) printNote(`refused: ${shownLine(reason)}`);
}
