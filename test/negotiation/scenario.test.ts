import t from 'tap';
import { LOOPBACK } from '../channel/compliance.js';
import { coinjoinScenario } from './scenario.js';

t.test('a coinjoin over loopback sockets', (t) => coinjoinScenario(t, LOOPBACK));
