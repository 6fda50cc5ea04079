import t from 'tap';
import { LOOPBACK } from '../channel/compliance.js';
import { coinjoinScenario, slowMakerScenario } from './scenario.js';

t.test('a coinjoin over loopback sockets', (t) => coinjoinScenario(t, LOOPBACK));

t.test('the report of a used commitment does not reach a slow maker before its fill', (t) =>
  slowMakerScenario(t, LOOPBACK),
);
