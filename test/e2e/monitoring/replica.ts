import { connect, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Process, start, waitFor } from '../cluster/process.ts';
import { isReady } from '../webhook.ts';

const MAIN = fileURLToPath(new URL('../../../src/main.ts', import.meta.url));

/** A replica of the webhook, a process of this machine. */
export interface Replica {
  readonly name: string;
  readonly port: number;
  readonly adminPort: number;
  readonly start: () => Promise<void>;
  readonly stop: () => Promise<void>;
}

/**
 * A replica with self-managed certificates, which is not started yet.
 *
 * @param dir where the file `kubeconfig` is, and its log goes
 */
export function replicaIn(dir: string, name: string, port: number, adminPort: number): Replica {
  const flags = [
    '--certificates=self-managed',
    '--ca-settle-time=5s',
    '--preflight=on',
    '--count-unguarded=true',
    '--owner-events=true',
    `--port=${port}`,
    `--admin-port=${adminPort}`,
    '--bind-address=127.0.0.1',
    '--shutdown-delay=0',
  ];
  const environment = { ...process.env, KUBECONFIG: join(dir, 'kubeconfig') };
  let running: Process | undefined;
  return {
    name,
    port,
    adminPort,
    start: async () => {
      running = start(name, process.execPath, [MAIN, ...flags], join(dir, `${name}.log`), environment);
      await waitFor(`${name} is ready`, () => isReady(adminPort), [running]);
    },
    stop: async () => running?.stop(),
  };
}

/** What stands for the Service, which needs nodes: each connection goes to the next replica, past one that does not listen. */
export function forwardTo(replicas: readonly Replica[]): Server {
  let turn = 0;
  return createServer({ noDelay: true }, (client) => {
    client.on('error', () => client.destroy());
    const reach = (left: number): void => {
      if (left === 0) {
        client.destroy();
        return;
      }
      const upstream = connect({ host: '127.0.0.1', port: replicas[turn++ % replicas.length]?.port ?? 0, noDelay: true });
      upstream.once('error', () => reach(left - 1));
      upstream.once('connect', () => {
        upstream.removeAllListeners('error').on('error', () => client.destroy());
        client.on('close', () => upstream.destroy());
        client.pipe(upstream).pipe(client);
      });
    };
    reach(replicas.length);
  });
}
