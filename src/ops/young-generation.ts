/** Memory of a process with thousands of mostly idle connections, or with a large wallet. */
import { setFlagsFromString } from 'node:v8';

/**
 * Keeps V8's young generation at its first size. It would grow to 16 MB (plus as much to copy into)
 * while peers arrive, and not shrink. A directory produces little garbage per message, so a larger one
 * has no benefit. Call it before there is much load. No effect where V8 does not have the option.
 */
export function smallYoungGeneration(): void {
  setFlagsFromString('--semi-space-growth-factor=1');
}
