/** Seed words: typed by a person, read from a file, shown once and asked back. */
import { randomInt } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { errorCodeOrText } from '../../kit/error-text.js';
import { readSeedWords, seedFaultText, type Seed } from '../../wallet/seed.js';
import { UsageError } from '../errors.js';
import { StoppedError, type Asker } from './terminal.js';

/** Longest list of seed words. */
const MOST_WORDS = 24;
/** A file with 24 words has at most 250 characters. */
const MAX_FILE_BYTES = 4_096;
/** How many words `create` asks back. */
const ASKED_BACK = 3;
/** How often a word may be typed again. */
const ATTEMPTS = 3;

async function wordsFile(path: string): Promise<string> {
  try {
    const { size } = await stat(path);
    if (size > MAX_FILE_BYTES) throw new Error(`it has more than ${MAX_FILE_BYTES} bytes`);
    return await readFile(path, 'utf8');
  } catch (error) {
    throw new UsageError(`--words-file ${path} cannot be read (${errorCodeOrText(error)})`, {
      cause: error,
    });
  }
}

const wordsIn = (line: string): readonly string[] =>
  line.split(/\s+/u).filter((word) => word !== '');

/** Words that a person types, one or several on a line. */
async function typedWords(asker: Asker): Promise<string[]> {
  asker.show('Type the seed words, one or several on a line; an empty line ends them.');
  const words: string[] = [];
  while (words.length < MOST_WORDS) {
    // oxlint-disable-next-line no-await-in-loop -- one line after the other
    const typed = wordsIn(await asker.line(`word ${words.length + 1}: `));
    if (typed.length === 0) break;
    words.push(...typed);
  }
  return words;
}

/** Words at the terminal; one that is in no list is asked for again. */
async function askedSeed(asker: Asker): Promise<Seed> {
  const words = await typedWords(asker);
  for (let attempt = 1; ; attempt += 1) {
    const read = readSeedWords(words.join(' '));
    if (read.ok) return read.value;
    const said = seedFaultText(read.reason);
    if (read.reason.kind !== 'word' || attempt > ATTEMPTS) throw new UsageError(said);
    asker.show(said);
    const { number } = read.reason;
    // oxlint-disable-next-line no-await-in-loop -- one word after the other
    words.splice(number - 1, 1, (await asker.line(`word ${number} again: `)).trim());
  }
}

/**
 * The seed words of a person, checked. Rejects with a `UsageError` that says which word is wrong.
 * @param file `--words-file`; without one, and without a terminal, the error names it
 */
export async function askSeedWords(file: string | undefined, asker: Asker): Promise<Seed> {
  if (file === undefined) {
    if (asker.canAsk) return askedSeed(asker);
    throw new UsageError('there is no terminal to ask for the seed words: give --words-file FILE');
  }
  const read = readSeedWords(await wordsFile(file));
  if (read.ok) return read.value;
  throw new UsageError(`--words-file ${file}: ${seedFaultText(read.reason)}`);
}

/** Places of words to ask back, each once, in order. */
function placesOf(count: number): readonly number[] {
  const places = new Set<number>();
  while (places.size < Math.min(ASKED_BACK, count)) places.add(randomInt(count));
  return [...places].toSorted((a, b) => a - b);
}

/** Lines with numbered words, four on each. */
export function wordLines({ words }: Seed): string {
  const cells = words
    .split(' ')
    .map((word, i) => `${String(i + 1).padStart(2)} ${word}`.padEnd(13));
  const lines: string[] = [];
  for (let i = 0; i < cells.length; i += 4)
    lines.push(
      cells
        .slice(i, i + 4)
        .join(' ')
        .trimEnd(),
    );
  return lines.join('\n');
}

/** What a person must know about seed words. */
export const SEED_WARNING =
  'These words are the wallet. Write them on paper, in this order, and keep the paper safe:\n' +
  'a person who has them can take all coins, and without them a lost file or password loses the coins.';

/** Shows new seed words at the terminal, and asks some of them back. */
export async function showAndAskBack(seed: Seed, asker: Asker): Promise<void> {
  asker.show(`\n${SEED_WARNING}\n\n${wordLines(seed)}\n`);
  await asker.line('Press Enter when they are written down. ');
  const words = seed.words.split(' ');
  for (const place of placesOf(words.length)) {
    for (let attempt = 1; ; attempt += 1) {
      // oxlint-disable-next-line no-await-in-loop -- one question after the other
      const answer = await asker.line(`word ${place + 1} on your paper: `);
      if (answer.trim().toLowerCase() === words[place]) break;
      if (attempt === ATTEMPTS) {
        throw new StoppedError(
          `word ${place + 1} was not right ${ATTEMPTS} times; no wallet was written, begin again`,
        );
      }
      asker.show('that is another word; the list above has the right one');
    }
  }
}
