/** The curves of the platform, for programs that check and sign many messages. */
import { fastCurves, loadFastCurves } from '../platform/fast-curves.js';
import { usePlatformCurves } from '../protocol/platform-curves.js';

/** Uses OpenSSL at once, and WebAssembly as soon as it is loaded. Has no effect at a second call. */
export function useFastCurves(): void {
  usePlatformCurves(fastCurves);
  void loadFastCurves();
}
