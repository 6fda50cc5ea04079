/**
 * Runs a scene on the files of a schedule, and kills itself with SIGKILL before one of the calls that change the
 * folder: `FOLDER SCENE NUMBER`. Prints each call, and what is promised to be on the disk.
 */
import fs from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { ScheduleFiles } from '../../src/roles/schedule-files.js';
import { placeIn, SCENES } from './schedule-scene.js';

const [, , folder = '', name = '', last = ''] = process.argv;
const killedAt = Number(last);
let calls = 0;

/** Written at once: nothing that was printed is lost. */
function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

function point(what: string): void {
  if (calls++ === killedAt) process.kill(process.pid, 'SIGKILL');
  say(`call ${what}`);
}

const { open, rename, rm, mkdir } = fs;
fs.rename = async (...args) => {
  point('rename');
  await rename(...args);
};
fs.rm = async (...args) => {
  point('rm');
  await rm(...args);
};
// Only the form that makes parents is used.
fs.mkdir = Object.assign(async (...args: Parameters<typeof mkdir>) => {
  point('mkdir');
  return mkdir(...args);
});
fs.open = async (...args) => {
  point('open');
  const handle = await open(...args);
  const writeFile = handle.writeFile.bind(handle);
  const sync = handle.sync.bind(handle);
  const close = handle.close.bind(handle);
  handle.writeFile = async (data, options) => {
    point('write');
    // Half of it, and the end.
    if (calls === killedAt && typeof data === 'string') {
      await writeFile(data.slice(0, data.length / 2), options);
    }
    point('write the rest');
    await writeFile(data, options);
  };
  handle.sync = async () => {
    point('sync');
    await sync();
  };
  handle.close = async () => {
    point('close');
    await close();
  };
  return handle;
};
syncBuiltinESMExports();

const scene = SCENES[name];
if (!scene) throw new Error(`no scene ${name}`);
const files = await ScheduleFiles.open(placeIn(folder));
await scene(files, (what) => say(`promised ${what}`));
await files.close();
say('promised end');
