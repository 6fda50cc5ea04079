/** A directory driven by the test, line by line. */
import { formatDirectoryHandshake, type DirectoryHandshake } from '../../src/protocol/handshake.js';
import { formatPubmsg } from '../../src/protocol/message.js';
import type { Location } from '../../src/protocol/location.js';
import { serveRaw, type RawPeer } from './raw-peer.js';

export const FAKE_DIRECTORY_NICK = 'J5fakedirOOOOOOO';

/** The 793 of a client, as received. */
export interface ClientHandshake {
  readonly nick: string;
  readonly 'location-string': string;
  readonly features: Readonly<Record<string, boolean>>;
  readonly [key: string]: unknown;
}

export interface FakeSession extends RawPeer {
  readonly handshake: ClientHandshake;
  /** `from!PUBLIC!text` to the client. */
  pubmsg(from: string, text: string): void;
}

export interface FakeDirectory {
  readonly location: Location;
  readonly accepted: number;
  /** The next connection; no line of it is read or answered. */
  accept(): Promise<RawPeer>;
  /** The next connection, its 793 read and answered with an accepting 795. */
  acceptHandshake(answer?: Partial<DirectoryHandshake>): Promise<FakeSession>;
  close(): Promise<void>;
}

/** A 795 payload on signet, accepting by default. */
export function directoryAnswer(answer: Partial<DirectoryHandshake> = {}): string {
  return formatDirectoryHandshake({
    nick: FAKE_DIRECTORY_NICK,
    network: 'signet',
    accepted: true,
    motd: 'fake',
    features: [],
    ...answer,
  });
}

export async function startFakeDirectory(port = 0): Promise<FakeDirectory> {
  const server = await serveRaw(port);
  return {
    location: server.location,
    get accepted() {
      return server.accepted;
    },
    accept: () => server.accept(),
    async acceptHandshake(answer) {
      const peer = await server.accept();
      const { line } = await peer.nextOf(793);
      peer.send(795, directoryAnswer(answer));
      const handshake: ClientHandshake = JSON.parse(line);
      return {
        ...peer,
        handshake,
        pubmsg: (from, text) => peer.send(687, formatPubmsg(from, text)),
      };
    },
    close: () => server.close(),
  };
}
