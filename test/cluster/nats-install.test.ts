/** The command that installs the client of NATS, for each way in which onionmc can be installed. */
import t from 'tap';
import { installCommand } from '../../src/cluster/nats/access.js';

const CASES: readonly [what: string, root: string, options: string][] = [
  ['a clone, as in the pages', '/opt/onionmc', '--prefix /opt'],
  ['installed for all users', '/usr/lib/node_modules/onionmc', '--global'],
  ['the same in a home', '/home/me/.npm-global/lib/node_modules/onionmc', '--global'],
  ['a package of a project', '/srv/pit/node_modules/onionmc', '--prefix /srv/pit'],
  ['a path with a blank', '/srv/my pit/onionmc', '--prefix "/srv/my pit"'],
];

for (const [what, root, options] of CASES) {
  t.test(what, (t) => {
    t.equal(installCommand(root), `npm install ${options} @nats-io/transport-node@3.3.1`);
    t.end();
  });
}
