/** Memory of a process with thousands of connections that are idle most of the time. */
import { setFlagsFromString } from 'node:v8';

/**
 * Keeps V8's young generation at its first size. It grows to 16 MB (and as much again to copy into)
 * while peers arrive, and does not shrink; a directory makes hardly any garbage per message, so it
 * gains nothing by that. To be called before there is much load. No effect where V8 does not have
 * the option.
 */
export function smallYoungGeneration(): void {
  setFlagsFromString('--semi-space-growth-factor=1');
}
