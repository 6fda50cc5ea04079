/** Faults of the disk: codes are refused or stay in force, and nothing else is harmed. */
import {
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { openAudit } from '../../src/admission/audit.js';
import type { Reason } from '../../src/admission/api.js';
import { CodeBook } from '../../src/admission/backends/code-book.js';
import { formatCodeFile } from '../../src/admission/code-record.js';
import { followFile } from '../../src/admission/code-store.js';
import { AdmissionEngine } from '../../src/admission/engine.js';
import { openAdmission } from '../../src/admission/open.js';
import { MAX_SESSIONS, memoryUses, Sessions } from '../../src/admission/sessions.js';
import { silentLog } from '../../src/channel/log.js';
import { createTestClock } from '../helpers/test-clock.js';
import { chosenCode, KEY, madeCode, NOW, request, SALT } from './sample.js';

t.test('a use that cannot be stored refuses the code, and throws nothing', async (t) => {
  const made = madeCode({ maxUses: 1 });
  const chosen = { ...(await chosenCode('correct horse')), maxUses: 1 };
  const faults: unknown[] = [];
  let isFull = true;
  const kept = memoryUses();
  const book = new CodeBook(
    { key: KEY, salt: SALT, codes: [made.record, chosen] },
    {
      uses: {
        count: (id) => kept.count(id),
        add(id) {
          if (isFull) throw new Error('ENOSPC');
          kept.add(id);
        },
      },
      onFault: (error) => faults.push(error),
    },
  );
  const engine = new AdmissionEngine({ backend: book });
  const ask = async (code: string): Promise<Reason> => (await engine.decide(request(code))).reason;
  t.equal(await ask(made.text), 'uses-failed');
  t.equal(await ask('correct horse'), 'uses-failed');
  t.equal(faults.length, 2);
  isFull = false;
  t.equal(await ask(made.text), 'admitted', 'no use was lost');
  t.equal(await ask('correct horse'), 'admitted');
});

t.test('a code for many sessions at a time has a bound, too', (t) => {
  const sessions = new Sessions(memoryUses(), 60_000);
  const code = { id: 'aaaaaaaa', maxConcurrent: 10 * MAX_SESSIONS };
  for (let i = 0; i < MAX_SESSIONS; i++) t.equal(sessions.enter(code, `s${i}`, NOW), undefined);
  t.equal(sessions.enter(code, 'another', NOW), 'concurrent');
  t.equal(sessions.enter(code, 's0', NOW), undefined, 'one that runs goes on');
  t.end();
});

t.test('an audit log that cannot be rotated leaves the files of others alone', (t) => {
  const path = join(t.testdir(), 'audit.log');
  const errors: unknown[] = [];
  const log = openAudit({ path, maxBytes: 300, onError: (error) => errors.push(error) });
  let at = NOW;
  const record = (): void =>
    log.record({
      door: 'handshake',
      address: 'J5nick',
      now: (at += 1_000),
      verdict: 'REJECT',
      reason: 'unknown-code',
    });
  // A folder in the place of the old file, which a rename does not replace.
  mkdirSync(join(`${path}.1`, 'x'), { recursive: true });
  for (let i = 0; i < 5; i++) record();
  t.equal(errors.length, 1, 'reported once');
  const other = join(t.testdirName, 'other');
  const file = openSync(other, 'w');
  for (let i = 0; i < 5; i++) record();
  writeSync(file, 'mine');
  closeSync(file);
  t.equal(readFileSync(other, 'utf8'), 'mine');
  rmSync(`${path}.1`, { recursive: true });
  record();
  log.close();
  t.match(readFileSync(`${path}.1`, 'utf8'), /unknown-code/);
  t.match(readFileSync(path, 'utf8'), /unknown-code/, 'it goes on');
  t.end();
});

t.test('a change that could not be read is read again, and reported once', async (t) => {
  const path = join(t.testdir({ codes: 'a' }), 'codes');
  const clock = createTestClock();
  const seen: string[] = [];
  const warned: string[] = [];
  let isBroken = false;
  let looked: (() => void) | undefined;
  const say = (text: string): void => void warned.push(text);
  const stop = await followFile({
    path,
    read() {
      looked?.();
      return isBroken
        ? Promise.reject(new Error('EMFILE'))
        : Promise.resolve(readFileSync(path, 'utf8'));
    },
    changed: (text) => seen.push(text),
    clock,
    log: { debug() {}, info() {}, warn: say, error: say },
  });
  const look = async (): Promise<void> => {
    const read = new Promise<void>((resolve) => (looked = resolve));
    clock.advance(1_000);
    await read;
    // The next look is planned when this one is over.
    while (clock.pending === 0) {
      // oxlint-disable-next-line no-await-in-loop -- each turn lets one more promise settle
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  writeFileSync(path, 'revoked');
  isBroken = true;
  await look();
  await look();
  t.same(seen, ['a']);
  t.same(warned.length, 1);
  isBroken = false;
  await look();
  t.same(seen, ['a', 'revoked'], 'the revoked code does not stay in force');
  stop();
});

/** Files below a folder that this process has open. */
function openBelow(folder: string): readonly string[] {
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      const path = readlinkSync(`/proc/self/fd/${fd}`);
      return path.startsWith(`${folder}/`) ? [path.slice(folder.length + 1)] : [];
    } catch {
      // The one with which the folder was read.
      return [];
    }
  });
}

t.test('an admission that cannot be opened leaves nothing open', async (t) => {
  const dir = t.testdir({
    'bad.json': '{ "no": "codes" }',
    'uses.json.uses': {},
    'good.json': formatCodeFile({ key: KEY, salt: SALT, codes: [madeCode().record] }),
    'log-is-folder': {},
  });
  const clock = createTestClock();
  const open = (codes: string, audit: string): ReturnType<typeof openAdmission> =>
    openAdmission({
      source: { kind: 'codes', path: join(dir, codes) },
      auditPath: join(dir, audit),
      clock,
      log: silentLog,
    });
  const admission = await open('good.json', 'audit.log');
  t.same(openBelow(dir).toSorted(), ['audit.log', 'good.json.uses']);
  t.equal(clock.pending, 1);
  admission.close();
  for (const [codes, audit, expected] of [
    ['bad.json', 'audit.log', { name: 'CodeStoreError' }],
    ['uses.json', 'audit.log', { code: 'EISDIR' }],
    ['good.json', 'log-is-folder', { code: 'EISDIR' }],
    ['good.json', 'bad.json/audit.log', { code: 'EEXIST' }],
  ] as const) {
    await t.rejects(open(codes, audit), expected, `${codes}, ${audit}`);
    t.same(openBelow(dir), [], `${codes}, ${audit}: no file is open`);
    t.equal(clock.pending, 0, `${codes}, ${audit}: and none is followed`);
  }
});
