import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { FastifyInstance } from 'fastify';
import type { Logger } from 'pino';
import { buildAdmin } from './admin.ts';
import type { Config } from './config.ts';
import { createMetrics } from './metrics.ts';
import { buildServer } from './server.ts';
import { UNKNOWN_CLUSTER } from './sideload/settings.ts';
import { followCertificateDirectory, readCertificateDirectory } from './tls/directory.ts';
import { ensureLocalCertificates } from './tls/local.ts';

/** Where `npm start` keeps the certificates it makes, below the working directory. */
const LOCAL_CERT_DIR = 'certs';

/** A webhook that serves. */
export interface Running {
  /** The ports it listens on, which differ from the configured ones where those are 0. */
  readonly port: number;
  readonly adminPort: number;
  /**
   * Ends it without losing a request: readiness fails at once, new connections are taken for the configured delay, then
   * idle connections are closed and requests in flight finish.
   */
  readonly drain: () => Promise<void>;
}

/**
 * Starts the webhook and its admin server.
 *
 * @throws Error when there is no certificate to serve or a port is taken
 */
export async function serve(config: Config, version: string, log: Logger): Promise<Running> {
  const certDir = config.tlsCertDir || LOCAL_CERT_DIR;
  if (config.tlsCertDir === '' && (await ensureLocalCertificates(certDir))) {
    log.info({ dir: certDir }, 'made certificates for local use; ca.crt is what clients trust');
  }
  const { pair, notAfter } = await readCertificateDirectory(certDir);
  const metrics = createMetrics(version);
  metrics.certificate(notAfter);

  let draining = false;
  const tls = { ...pair, minVersion: config.tlsMinVersion };
  const app = buildServer({ settings: config.sideload, facts: () => UNKNOWN_CLUSTER, tls, log, metrics, draining: () => draining });
  const admin = buildAdmin(metrics, () => [
    { name: 'serving', ready: !draining, detail: draining ? 'draining' : 'accepting admission reviews' },
    { name: 'cluster', ready: true, detail: 'not asked: image volumes are assumed to be kept' },
  ]);
  const unfollow = followCertificateDirectory(certDir, pair, {
    onPair: (next, end) => {
      app.server.setSecureContext({ ...next, minVersion: config.tlsMinVersion });
      metrics.certificate(end);
      metrics.certificateReload('ok');
      log.info({ dir: certDir, notAfter: end }, 'serving certificate replaced');
    },
    onProblem: (error) => {
      metrics.certificateReload('error');
      log.error({ err: error }, 'serving certificate not replaced: the last good one stays in use');
    },
  });

  const port = await listen(app, config.port, config.bindAddress);
  const adminPort = await listen(admin, config.adminPort, config.bindAddress);
  log.info({ port, adminPort, version, certificateNotAfter: notAfter }, 'serving');

  return {
    port,
    adminPort,
    drain: async () => {
      draining = true;
      log.info({ delaySeconds: config.shutdownDelay }, 'draining');
      await sleep(config.shutdownDelay * 1000);
      unfollow();
      await app.close();
      await admin.close();
      log.info('stopped');
    },
  };
}

/** Listens on every address also where the kernel has no IPv6. */
async function listen(app: FastifyInstance, port: number, host: string): Promise<number> {
  try {
    await app.listen({ port, host });
  } catch (error) {
    const noIpv6 = error instanceof Error && 'code' in error && (error.code === 'EAFNOSUPPORT' || error.code === 'EADDRNOTAVAIL');
    if (host !== '::' || !noIpv6) throw error;
    await app.listen({ port, host: '0.0.0.0' });
  }
  return (app.server.address() as AddressInfo).port;
}
