/**
 * A router of the lab in a process of its own: `node router-program.ts FOLDER NAME`. It keeps its keys in FOLDER, finds
 * the others through the bootstrap files there, relays their paths, and ends on SIGTERM. Its first line of output is its
 * address.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  keysFromSecrets,
  newRouterKeys,
  type RouterKeys,
} from '../../../src/llarp/router/contact.js';
import { systemClock } from '../../../src/overlay/system-clock.js';
import { BootstrapFolder } from '../../../src/lab/llarp/bootstrap-folder.js';
import { LAB_NETWORK, systemRandom, UdpRouter } from '../../../src/lab/llarp/udp-router.js';

/** How often the folder is read. */
const READ_EVERY_MS = 500;

/** The keys of a file of 96 bytes; new ones are written before they are used. */
async function keysOf(path: string): Promise<RouterKeys> {
  try {
    const keys = keysFromSecrets(new Uint8Array(await readFile(path)));
    if (keys) return keys;
    throw new Error(`${path} does not hold the keys of a router: 96 bytes`);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error;
  }
  const keys = newRouterKeys(systemRandom);
  const secrets = [keys.signing.seed, keys.path.secretKey, keys.link.secretKey];
  await writeFile(path, Buffer.concat(secrets), { mode: 0o600, flag: 'wx' });
  return keys;
}

const [folder, name] = process.argv.slice(2);
if (folder === undefined || name === undefined) {
  process.stderr.write('usage: node router-program.ts FOLDER NAME\n');
  process.exit(2);
}
const router = await UdpRouter.start({
  keys: await keysOf(join(folder, `${name}.keys`)),
  network: LAB_NETWORK,
  onError: (error) => {
    process.stderr.write(`the socket failed: ${error.message}\n`);
    process.exit(1);
  },
});
const bootstrap = await BootstrapFolder.join({
  folder,
  name,
  member: router,
  clock: systemClock,
  everyMs: READ_EVERY_MS,
  onError: (error) => process.stderr.write(`${error.message}\n`),
});
process.stdout.write(`127.0.0.1:${router.port.port}\n`);
process.once('SIGTERM', () => {
  void bootstrap.leave().then(() => router.close());
});
