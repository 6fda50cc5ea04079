/** The file of the statement: what a crash leaves is completed, and nothing else is changed. */
import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { silentLog } from '../../src/channel/log.js';
import type { MakerCoinjoin } from '../../src/maker/api.js';
import { connectedLine, missingLines, STATEMENT_HEADER } from '../../src/maker/yield-statement.js';
import { YieldStatement } from '../../src/roles/yield-statement-file.js';

const NOW = 1_772_373_906;

const coinjoinAt = (signedAt: number): MakerCoinjoin => ({
  txid: undefined,
  unsignedTxid: 'aa'.repeat(32),
  signedAt,
  confirmedAt: signedAt + 600,
  state: 'confirmed',
  amount: 5_000_000,
  inputs: 1,
  inputValue: 6_000_000,
  fee: 100,
  earned: 100,
});
const COINJOINS = [coinjoinAt(NOW), coinjoinAt(NOW + 1_000)];
const LINES = missingLines([], COINJOINS);

async function written(path: string, coinjoins: readonly MakerCoinjoin[]): Promise<string> {
  const statement = await YieldStatement.open(path, silentLog);
  statement.connected(NOW);
  statement.update(coinjoins);
  statement.update(coinjoins);
  await statement.close();
  return readFile(path, 'utf8');
}

t.test('a new file has the header, the start and the coinjoins', async (t) => {
  const path = join(t.testdir({}), 'logs', 'yigen-statement.csv');
  const text = await written(path, COINJOINS);
  t.equal(text, [STATEMENT_HEADER, connectedLine(NOW), ...LINES, ''].join('\n'));
  t.equal((await stat(path)).mode & 0o777, 0o600);
  t.equal(await written(path, COINJOINS), `${text}${connectedLine(NOW)}\n`, 'a second start');
});

t.test('after a cut at any byte, each coinjoin has one line', async (t) => {
  const path = join(t.testdir({}), 'yigen-statement.csv');
  const whole = await written(path, COINJOINS);
  const faults: string[] = [];
  for (let length = 0; length < whole.length; length++) {
    // oxlint-disable-next-line no-await-in-loop -- one file
    await writeFile(path, whole.slice(0, length));
    // oxlint-disable-next-line no-await-in-loop
    const lines = (await written(path, COINJOINS)).split('\n');
    const ofCoinjoins = lines.filter((line) => LINES.includes(line));
    if (
      lines[0] !== STATEMENT_HEADER ||
      ofCoinjoins.toSorted().join() !== LINES.toSorted().join()
    ) {
      faults.push(`cut at ${length}: ${lines.join('|')}`);
    }
  }
  t.strictSame(faults, []);
});

t.test('the file of the original is continued', async (t) => {
  const before = `${STATEMENT_HEADER}\r\n2020/01/01 00:00:00,,,,,,,Connected\r\n`;
  const path = join(t.testdir({ 'yigen-statement.csv': before }), 'yigen-statement.csv');
  t.equal(
    await written(path, COINJOINS),
    `${before}${[connectedLine(NOW), ...LINES, ''].join('\n')}`,
  );
});

t.test('a place that cannot be written is named', async (t) => {
  const dir = t.testdir({ logs: 'a file' });
  await t.rejects(YieldStatement.open(join(dir, 'logs', 'yigen-statement.csv'), silentLog), {
    name: 'StatementError',
    message: /yigen-statement\.csv cannot be opened \((EEXIST|ENOTDIR)\)/,
  });
});
