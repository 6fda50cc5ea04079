/** Which coins the four rules choose. */
import * as fc from 'fast-check';
import t from 'tap';
import type { SelectionRule } from '../../src/wallet/api.js';
import { selectCoins } from '../../src/wallet/selection.js';

const chosen = (
  values: readonly number[],
  target: number,
  rule: SelectionRule,
): readonly number[] | undefined =>
  selectCoins(
    values.map((value) => ({ value })),
    target,
    rule,
  )
    ?.map(({ value }) => value)
    .toSorted((a, b) => a - b);

t.test('the coins of each rule', async (t) => {
  const rows: readonly (readonly [
    readonly number[],
    number,
    Readonly<Record<SelectionRule, readonly number[] | undefined>>,
  ])[] = [
    [
      [1, 2, 3, 4, 50, 90],
      5,
      { default: [50], gradual: [3, 4], greedy: [2, 3], greediest: [1, 2, 3] },
    ],
    [[1, 2, 3, 50], 7, { default: [50], gradual: [50], greedy: [50], greediest: [50] }],
    [[1, 2, 3], 5, { default: [2, 3], gradual: [2, 3], greedy: [2, 3], greediest: [1, 2, 3] }],
    [[5], 5, { default: [5], gradual: [5], greedy: [5], greediest: [5] }],
    [
      [1, 2],
      4,
      { default: undefined, gradual: undefined, greedy: undefined, greediest: undefined },
    ],
    [[], 1, { default: undefined, gradual: undefined, greedy: undefined, greediest: undefined }],
  ];
  for (const [values, target, expected] of rows) {
    for (const rule of ['default', 'gradual', 'greedy', 'greediest'] as const) {
      t.strictSame(
        chosen(values, target, rule),
        expected[rule],
        `${rule}: ${target} from ${values.join()}`,
      );
    }
  }
});

t.test(
  'what is chosen covers the target, no coin can be left out, and it exists when all do',
  (t) => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 1_000 }), { maxLength: 12 }),
        fc.integer({ min: 1, max: 3_000 }),
        fc.constantFrom<SelectionRule>('default', 'gradual', 'greedy', 'greediest'),
        (values, target, rule) => {
          const all = values.reduce((sum, value) => sum + value, 0);
          const picked = chosen(values, target, rule);
          if ((picked !== undefined) !== all >= target) return false;
          if (picked === undefined) return true;
          const sum = picked.reduce((total, value) => total + value, 0);
          const smallest = picked[0] ?? 0;
          const isLean = rule === 'greediest' || sum - smallest < target;
          const isSubset = picked.every(
            (value) =>
              picked.filter((it) => it === value).length <=
              values.filter((it) => it === value).length,
          );
          return sum >= target && isLean && isSubset;
        },
      ),
      { numRuns: 1_000 },
    );
    t.end();
  },
);
