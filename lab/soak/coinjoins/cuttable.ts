/** An overlay that can lose its network, with every connection it has, and get it back. */
import type { Connection, Overlay } from '../../../src/channel/ports.js';

export interface Cuttable {
  readonly overlay: Overlay;
  cut(): void;
  restore(): void;
}

export function cuttable(overlay: Overlay): Cuttable {
  const connections = new Set<Connection>();
  let isOffline = false;
  const keep = (connection: Connection): Connection => {
    connections.add(connection);
    if (isOffline) connection.destroy();
    return connection;
  };
  return {
    overlay: {
      ...overlay,
      async dial(location, options) {
        if (isOffline) throw new Error('no network');
        return keep(await overlay.dial(location, options));
      },
      serve: (onConnection, options) =>
        overlay.serve((connection) => onConnection(keep(connection)), options),
    },
    cut() {
      isOffline = true;
      for (const connection of connections) connection.destroy();
      connections.clear();
    },
    restore() {
      isOffline = false;
    },
  };
}
