/** Step 1 of section 4.1: the search, and the descriptions that are kept of its answers. */
import { DescriptionCache, type CachedVdp, type DescriptionFolders } from './cache.js';
import { httpsCall } from './https-call.js';
import { CALL_TIMEOUT_MS } from './manager.js';
import { offersOf, type Offer, type OfferFilter } from './offers.js';
import { MAX_VDP } from './parse-vdp.js';
import { filtered, parseSdpAnswer, SDP_URL, searchUrl } from './sdp.js';

export interface SearchResult {
  /** Offers that keep to the filter. */
  readonly offers: readonly Offer[];
  /** Offers that were left out because their description does not name the country or the speed. */
  readonly unknown: number;
  /** Entries of the answer, and descriptions, that broke a rule: why. */
  readonly refused: readonly string[];
}

export interface MarketOptions {
  readonly folders: DescriptionFolders;
  /** An https address; that of the document unless it is given. */
  readonly sdpUrl?: string;
  /** Authorities of the SDP server, PEM; those of the system unless they are given. */
  readonly sdpCa?: readonly string[];
  /** Of one call, milliseconds; 30,000 unless it is given. */
  readonly callTimeoutMs?: number;
  /** Seconds since 1970. */
  readonly now: () => number;
}

/** The SDP server answers with an error status. */
export class SearchError extends Error {
  /** Stable, for programs. */
  override readonly name = 'SearchError';
  constructor(
    host: string,
    /** HTTP status. */
    readonly status: number,
  ) {
    super(
      `the SDP server ${host} answered with status ${status}; try again later, or use the kept descriptions`,
    );
  }
}

export class Market {
  readonly #options: MarketOptions;
  readonly cache: DescriptionCache;

  constructor(options: MarketOptions) {
    this.#options = options;
    this.cache = new DescriptionCache(options.folders);
  }

  /**
   * Asks the SDP server, keeps the descriptions it sends, and filters again. Rejects with a CallError, a
   * DescriptionError, or a SearchError for an error status.
   */
  async search(filter: OfferFilter, signal: AbortSignal): Promise<SearchResult> {
    const { sdpUrl = SDP_URL, sdpCa, now, callTimeoutMs = CALL_TIMEOUT_MS } = this.#options;
    const url = searchUrl(sdpUrl, filter);
    const answer = await httpsCall(url, {
      maxBytes: MAX_VDP,
      timeoutMs: callTimeoutMs,
      signal,
      ...(sdpCa === undefined ? {} : { ca: sdpCa }),
    });
    if (answer.status !== 200) throw new SearchError(url.host, answer.status);
    const { offers, vdp, refused } = parseSdpAnswer(answer.text, now());
    const faults = vdp === undefined ? [] : await this.cache.put(vdp, now());
    const reasons = [
      ...refused.map(({ message }) => message),
      ...faults.map(({ path, reason }) => `${path}: ${reason}`),
    ];
    return { ...filtered(offers, filter), refused: reasons };
  }

  /** The offers of the kept descriptions. */
  async knownOffers(filter: OfferFilter): Promise<SearchResult> {
    const vdp = await this.descriptions();
    const refused = vdp.faults.map(({ path, reason }) => `${path}: ${reason}`);
    return { ...filtered(offersOf(vdp), filter), refused };
  }

  /** The kept descriptions that are valid now. */
  descriptions(): Promise<CachedVdp> {
    return this.cache.read(this.#options.now());
  }
}
