/** Puts a proxy in the place of `[TOR] upstream = lthn://...`, before Tor is started. */
import type { Settings } from '../config/settings.js';
import type { Log } from '../channel/log.js';
import type { Shutdown } from '../ops/shutdown.js';

export interface UpstreamParts {
  readonly settings: Settings;
  readonly log: Log;
  readonly shutdown: Pick<Shutdown, 'onStop' | 'signal'>;
}

/** Whether Tor goes through a tunnel that ends with this process. */
export function usesTunnel({ cfg }: Pick<Settings, 'cfg'>): boolean {
  return cfg.get('TOR', 'upstream')?.startsWith('lthn:') === true;
}

/**
 * Settings whose upstream Tor can use. The tunnel ends with the program, after its Tor. Nothing of Lethean is loaded
 * without such a link. Rejects with a UsageError: then no Tor was started.
 */
export async function withUpstream({ settings, log, shutdown }: UpstreamParts): Promise<Settings> {
  const { upstream } = settings.onion;
  if (upstream?.kind !== 'lthn') return settings;
  const { openUpstream } = await import('./lethean/upstream.js');
  const opened = await openUpstream(upstream.link, { log, signal: shutdown.signal });
  shutdown.onStop('tunnel of Lethean', () => opened.close());
  return { ...settings, onion: { ...settings.onion, upstream: opened.proxy } };
}
