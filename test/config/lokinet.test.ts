/** `[MESSAGING:lokinet]`: what turns the overlay on, and which values are refused. */
import t from 'tap';
import { parseCfg } from '../../src/config/cfg-file.js';
import { settingsFrom, type Role } from '../../src/config/settings.js';

const LOKI = 'dw68y1xhptqbhcm5s8aaaip6dbopykagig5q5u1za4c7pzxto77y.loki';
/** The same with another last but one character: 52 characters that are no key. */
const NO_KEY = 'dw68y1xhptqbhcm5s8aaaip6dbopykagig5q5u1za4c7pzxto7yy.loki';
const NODES = `directory_nodes = ${LOKI}`;

async function read(lokinet: string, onion = '', role: Role = 'taker') {
  const text = `[MESSAGING:a]\ntype = onion\n${onion}\n[MESSAGING:b]\ntype = Lokinet\n${lokinet}\n`;
  const cfg = parseCfg(text, 'joinmarket.cfg');
  if (!cfg.ok) throw new Error(cfg.fault.fault);
  const { settings, notices } = await settingsFrom(cfg.value, { datadir: '/data', role });
  return { onion: settings.onion, notices };
}

t.test('a section turns the overlay on, beside the others or alone', async (t) => {
  const beside = await read(NODES);
  t.same(beside.notices, []);
  t.same(beside.onion.overlays, ['tor', 'lokinet']);
  t.match(beside.onion.lokinet, {
    dns: { host: '127.3.2.1', port: 53 },
    rpc: undefined,
    serve: true,
    virtualPort: 5222,
    sameNick: false,
  });
  t.ok(beside.onion.directoryNodes.length > 1);
  t.same(beside.onion.directoryNodes.at(-1), { kind: 'loki', host: LOKI, port: 5222 });
  t.same([...(beside.onion.lokinet?.portFromSrv ?? [])], [LOKI], 'its port is in its SRV record');

  const alone = await read(`directory_nodes = a-b.probably.loki:7`, 'overlays = lokinet');
  t.same(alone.onion.overlays, ['lokinet']);
  t.same(alone.onion.directoryNodes, [{ kind: 'loki', host: 'a-b.probably.loki', port: 7 }]);
  t.same(alone.onion.lokinet?.portFromSrv.size, 0);

  const directory = await read('directory_nodes = x', 'overlays = lokinet', 'directory');
  t.same(directory.onion.directoryNodes, [], 'a directory does not dial');
  const regtest = await read(
    NODES,
    'regtest_count = 1,1\ndirectory_nodes = 127.0.0.1:5222',
    'taker',
  );
  t.same(regtest.onion.overlays, ['loopback'], 'loopback mode has no other overlay');
});

t.test('without the section nothing of it is on', async (t) => {
  const cfg = parseCfg('[MESSAGING:onion]\ntype = onion\n', 'joinmarket.cfg');
  if (!cfg.ok) throw new Error(cfg.fault.fault);
  const { settings } = await settingsFrom(cfg.value, { datadir: '/data', role: 'maker' });
  t.same(settings.onion.overlays, ['tor']);
  t.equal(settings.onion.lokinet, undefined);
});

t.test('values that are refused, each with what is allowed', async (t) => {
  for (const [lines, message] of [
    ['', /directory_nodes: found nothing.*at least one directory/],
    [`${NODES}\ndns = 8.8.8.8`, /dns: found "8\.8\.8\.8".*private network/],
    [`${NODES}\ndns = localhost:53`, /dns:/],
    [`${NODES}\ndns = 127.3.2.1:99999`, /dns:/],
    [`${NODES}\ndns = 127.3.2.999`, /dns:/],
    [`${NODES}\nrpc = tcp://10.0.0.1:1190`, /rpc: .*tcp:\/\/127\.0\.0\.1:PORT/],
    [`${NODES}\nrpc = tcp://127.0.0.1`, /rpc:/],
    [`${NODES}\nvirtual_port = 0`, /virtual_port:/],
    [`directory_nodes = ${NO_KEY}`, /not a public key: probably mistyped/],
    [`directory_nodes = ${LOKI.replace('y.loki', 'b.loki')}`, /not the 52 characters/],
    [`directory_nodes = ${LOKI}.:5222`, /a dot after \.loki/],
    [`directory_nodes = localhost.loki`, /a name that Lokinet reserves/],
    ['directory_nodes = 8zfiwpgonsu5zpddpxwdurxyb19x6r96xy4qbikff99jwsziws9y.snode:1', /router/],
    ['directory_nodes = 127.0.0.1:5222', /not an address of Lokinet/],
    [`directory_nodes = ${'a'.repeat(56)}.onion:5222`, /wrong checksum|version 3/],
  ] as const) {
    // oxlint-disable-next-line no-await-in-loop
    await t.rejects(read(lines), { name: 'ConfigError', message }, lines);
  }
  for (const role of ['directory', 'maker'] as const) {
    // oxlint-disable-next-line no-await-in-loop
    await t.rejects(read(`${NODES}\nserve = no`, 'overlays = lokinet', role), {
      message: /serve: found no.*no other address/,
    });
    // oxlint-disable-next-line no-await-in-loop
    t.equal((await read(`${NODES}\nserve = no`, '', role)).onion.lokinet?.serve, false);
  }
  await t.rejects(read(`${NODES}\n[MESSAGING:c]\ntype = lokinet`), {
    message: /a second section of Lokinet, after \[MESSAGING:b\]/,
  });
  t.match((await read(`${NODES}\nvirtualport = 7`)).notices, [/did you mean virtual_port\?/]);
});

t.test('no other key takes a name of Lokinet: the system would look it up', async (t) => {
  for (const key of ['socks5_host', 'tor_control_host', 'tor_target_host', 'onion_serving_host']) {
    // oxlint-disable-next-line no-await-in-loop
    await t.rejects(
      read(NODES, `${key} = ${LOKI}`),
      { name: 'ConfigError', message: /a name of Lokinet, which only its overlay may look up/ },
      key,
    );
  }
});
