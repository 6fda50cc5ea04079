#!/usr/bin/env node
// Writes the version of package.json into src/roles/version.ts, so that the library reads no file.
// A correct file is not written again: the set-up builds again when a source is newer than the build.
import { readFileSync, writeFileSync } from 'node:fs';

const root = new URL('../', import.meta.url);
const target = new URL('src/roles/version.ts', root);
const { version } = JSON.parse(readFileSync(new URL('package.json', root), 'utf8'));
const text = `/** The version in package.json. \`npm run build\` writes this file. */
export const VERSION: string = '${version}';
`;
if (readFileSync(target, 'utf8') !== text) writeFileSync(target, text);
