/** Bonds of a wallet on the chain in memory and on a real node. */
import t from 'tap';
import { realNodeTest } from '../helpers/bitcoin-program.js';
import { memoryControl, nodeControl } from '../wallet/payment/controls.js';
import { bondScenes } from './scenes.js';

t.test('in memory', (t) => bondScenes(t, memoryControl(t)));

realNodeTest(t, 'on a real node', async (t) => bondScenes(t, await nodeControl(t)));
