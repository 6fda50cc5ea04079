/**
 * Runs in the virtual machine: a private Tor network until SIGTERM. Writes the torrc lines with which a
 * Tor joins it to the file named second; the installed package is the first argument.
 */
import { rename, writeFile } from 'node:fs/promises';

const [root, file] = process.argv.slice(2);
const { startPrivateTorNetwork } = await import(`${root}/dist/lab/private-network/network.js`);
const network = await startPrivateTorNetwork({ onProgress: (text) => console.error(text) });
process.once('SIGTERM', () => void network.close());
await writeFile(`${file}.new`, `${network.torrcLines.join('\n')}\n`);
await rename(`${file}.new`, file);
