/** Certificate authorities and certificates of tests, made by openssl. */
import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

export interface TestAuthority {
  /** The certificate, PEM. */
  readonly pem: string;
  readonly keyFile: string;
  /** Writes key and certificate of a server into one file. @param names such as `DNS:gate.test,IP:127.0.0.1` */
  server(name: string, names: string): Promise<string>;
}

/** An authority in a folder. */
export async function makeAuthority(folder: string, name: string): Promise<TestAuthority> {
  const openssl = (...args: readonly string[]) => run('openssl', [...args], { cwd: folder });
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  await openssl(
    'req',
    '-x509',
    ...key,
    '-keyout',
    `${name}.key`,
    '-out',
    `${name}.crt`,
    '-days',
    '2',
    '-subj',
    `/CN=${name}`,
  );
  return {
    pem: await readFile(join(folder, `${name}.crt`), 'utf8'),
    keyFile: join(folder, `${name}.key`),
    async server(server, names) {
      await writeFile(join(folder, `${server}.ext`), `subjectAltName=${names}\n`);
      await openssl(
        'req',
        ...key,
        '-keyout',
        `${server}.key`,
        '-out',
        `${server}.csr`,
        '-subj',
        `/CN=${server}`,
      );
      await openssl(
        'x509',
        '-req',
        '-in',
        `${server}.csr`,
        '-CA',
        `${name}.crt`,
        '-CAkey',
        `${name}.key`,
        '-CAcreateserial',
        '-out',
        `${server}.crt`,
        '-days',
        '2',
        '-extfile',
        `${server}.ext`,
      );
      const [secret, certificate] = await Promise.all([
        readFile(join(folder, `${server}.key`), 'utf8'),
        readFile(join(folder, `${server}.crt`), 'utf8'),
      ]);
      const file = join(folder, `${server}.pem`);
      await writeFile(file, secret + certificate, { mode: 0o600 });
      return file;
    },
  };
}
