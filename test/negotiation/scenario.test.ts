import t from 'tap';
import { LOOPBACK } from '../channel/compliance.js';
import { coinjoinScenario, slowMakerScenario } from './scenario.js';

t.test('a coinjoin over loopback sockets', (t) => coinjoinScenario(t, LOOPBACK));

t.test('a slow maker is not overtaken by the news that the commitment is used', (t) =>
  slowMakerScenario(t, LOOPBACK),
);
