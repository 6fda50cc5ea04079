/**
 * Runs a private Tor network until SIGTERM, for scripts/vm-test and scripts/container-test. Arguments: the
 * folder of the package, and the file for the torrc lines with which a Tor joins the network.
 */
import { rename, writeFile } from 'node:fs/promises';

const [root, file] = process.argv.slice(2);
const { startPrivateTorNetwork } = await import(`${root}/dist/lab/private-network/network.js`);
const network = await startPrivateTorNetwork({ onProgress: (text) => console.error(text) });
process.once('SIGTERM', () => void network.close());
await writeFile(`${file}.new`, `${network.torrcLines.join('\n')}\n`);
await rename(`${file}.new`, file);
