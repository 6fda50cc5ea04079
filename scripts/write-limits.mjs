#!/usr/bin/env node
// Writes the limits of a directory into joinmarket.cfg.example and docs/directory.md, from the table in
// src/directory/limits.ts: `npm run limits`. With --check it only compares, and exits with 1 when a file
// differs.
import { readFileSync, writeFileSync } from 'node:fs';
import { LIMIT_ROWS } from '../dist/directory/limits.js';

const WIDTH = 102;

/** A sentence as comment lines. */
function comment(text) {
  const lines = ['#'];
  for (const word of text.split(' ')) {
    const longer = `${lines.at(-1)} ${word}`;
    if (longer.length > WIDTH) lines.push(`# ${word}`);
    else lines[lines.length - 1] = longer;
  }
  return lines.join('\n');
}

const example = LIMIT_ROWS.map(
  ({ key, fallback, meaning }) => `${comment(meaning)}\n${key} = ${fallback}\n`,
).join('');

const range = ({ unit, least = 0, most }) =>
  most === undefined
    ? `${unit === 'positive seconds' ? 'more than 0' : '0'} to 604,800 s`
    : `${least.toLocaleString('en-US')} to ${most.toLocaleString('en-US')}`;

const table = [
  ['key', 'default', 'range', 'meaning'],
  ['---', '---', '---', '---'],
  ...LIMIT_ROWS.map((row) => [
    `\`${row.key}\``,
    row.fallback.toLocaleString('en-US'),
    range(row),
    row.meaning,
  ]),
]
  .map((cells) => `| ${cells.join(' | ')} |\n`)
  .join('');

const TARGETS = [
  ['joinmarket.cfg.example', /(# -- Limits: .*\n)[^]*?(\n# -- End of the limits --\n)/, example],
  ['docs/directory.md', /(<!-- limits -->\n)[^]*?(<!-- end of the limits -->\n)/, `\n${table}\n`],
];

/** Formatting pads the cells of a table. */
const bare = (content) => content.replaceAll(/ *\| */g, '|').replaceAll(/-{3,}/g, '---');

for (const [file, place, text] of TARGETS) {
  const url = new URL(`../${file}`, import.meta.url);
  const old = readFileSync(url, 'utf8');
  if (!place.test(old)) throw new Error(`${file} has no place for the limits`);
  const now = old.replace(place, (_, begin, end) => `${begin}${text}${end}`);
  if (bare(now) === bare(old)) continue;
  if (process.argv.includes('--check')) {
    console.error(`${file} does not show the limits of src/directory/limits.ts: npm run limits`);
    process.exitCode = 1;
  } else writeFileSync(url, now);
}
