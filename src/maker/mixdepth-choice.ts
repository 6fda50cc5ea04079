/**
 * Which mixdepth serves an amount. Coins move from each mixdepth to the next one, in a circle. A maker that
 * always spends from the first mixdepth after the longest run of those that cannot serve the amount keeps its
 * large coins together, so that its largest offer stays large. The rule of yg-privacyenhanced. Pure.
 */

/**
 * The first available mixdepth after the longest cyclic run of unavailable ones; the lowest of them where
 * several runs are longest. Undefined when no mixdepth is available.
 * @param available numbers of mixdepths, 0 to `count` - 1
 */
export function chooseMixdepth(available: ReadonlySet<number>, count: number): number | undefined {
  let chosen: number | undefined;
  let longest = -1;
  for (let mixdepth = 0; mixdepth < count; mixdepth++) {
    if (!available.has(mixdepth)) continue;
    let run = 0;
    while (run < count - 1 && !available.has((mixdepth - 1 - run + 2 * count) % count)) run += 1;
    if (run > longest) [chosen, longest] = [mixdepth, run];
  }
  return chosen;
}
