/** The check of Node.js. It is the first of each program, so it loads little. */
import { versionAtLeast } from '../kit/version-numbers.js';
import { ok, wrong, type Check } from './check.js';

const OLDEST_NODE = [20, 19, 0] as const;

export const nodeCheck: Check = {
  id: 'node',
  title: 'Node.js',
  needs: [],
  gives: [],
  run: (_facts, { nodeVersion }) => {
    const numbers = nodeVersion.split('.').map(Number);
    return Promise.resolve(
      versionAtLeast(numbers, OLDEST_NODE)
        ? ok(nodeVersion)
        : wrong(
            `version ${nodeVersion} is too old`,
            `install Node.js ${OLDEST_NODE.join('.')} or later (https://nodejs.org/en/download)`,
          ),
    );
  },
};
