/** The scenes of handshakes and nicks, of Lokinet, and the recorded ones, on three nodes: see directory-scenes.ts. */
import { testScenes } from './directory-scenes.js';

testScenes([{ file: 'identity' }, { file: 'nick-auth' }, { file: 'loki' }, { file: 'replay' }]);
