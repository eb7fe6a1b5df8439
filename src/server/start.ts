/**
 * The webhook as a server: it takes AdmissionReviews, decides and responds. May import everything but cli/.
 *
 * This file starts and drains the two HTTP servers, and gives them certificates and what is known of the cluster.
 */

import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { SecureContextOptions } from 'node:tls';
import type { FastifyInstance } from 'fastify';
import type { Logger } from 'pino';
import type { Connection } from '../cluster/client.ts';
import { followCluster, NO_CLUSTER } from '../cluster/facts.ts';
import type { OwnerEvents } from '../cluster/owner-events.ts';
import type { Config } from '../config/config.ts';
import { ExpectedError } from '../observe/expected-error.ts';
import { followLastHour } from '../observe/last-hour.ts';
import { createMetrics, type Metrics } from '../observe/metrics.ts';
import { once } from '../observe/once.ts';
import { onceAMinute } from '../observe/once-a-minute.ts';
import type { ReadinessCheck } from '../observe/readiness.ts';
import { watchFile } from '../observe/watched-file.ts';
import type { ImageSources } from '../registry/images.ts';
import { judgeSupervisorImage } from '../sideload/supervisor-image.ts';
import { checkAuthorities } from '../tls/authorities.ts';
import type { TrustStore, TrustStoreNames } from '../tls/shared-trust.ts';
import { showCertificates } from '../tls/shown.ts';
import { openCertificateSource } from '../tls/source.ts';
import { buildAdmin } from './admin.ts';
import { limitConnections, watchUnused } from './connections.ts';
import { countedReader, loggedEvents, openImageSources } from './images.ts';
import { buildWebhook, REQUEST_TIMEOUT_MS } from './webhook.ts';

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
 * @param lostLines how many lines the log had no room for
 * @throws Error when there is no certificate to serve, a port is taken, or OpenTelemetry's variables cannot be used
 */
export async function startWebhook(config: Config, version: string, log: Logger, lostLines: () => number): Promise<Running> {
  if (config.tracing.problems.length > 0) throw new ExpectedError(config.tracing.problems.join('\n'));
  // The Kubernetes client is loaded only here, where there is a cluster to ask.
  const connect = once(async () => (await import('../cluster/client.ts')).connectToServe());
  const readPullSecret = config.preflight || config.certificates.source === 'self-managed' ? pullSecretReader(connect) : undefined;
  const images = await openImageSources(config, readPullSecret, loggedEvents(log));
  const metrics = createMetrics(version, lostLines, images.inFlight);
  const startedAt = new Date();
  const lastHour = followLastHour(metrics.outcomes);
  const source = await openCertificateSource(config.certificates, (objects) => openTrustStore(connect, objects, log), log, metrics);
  const cluster = config.preflight ? followCluster(await connect(), config.namespace, log, metrics) : NO_CLUSTER;

  const stopCounting = config.countUnguarded ? await countUnguarded(connect, config, log, metrics) : undefined;
  // OpenTelemetry is loaded only where it is used.
  const spans = config.tracing.enabled ? (await import('../observe/spans.ts')).openSpans(version, log) : undefined;
  const ownerEvents = config.ownerEvents ? await tellOwners(connect, log, metrics) : undefined;

  const { image } = config.sideload;
  const { fits, detail } = judgeSupervisorImage(image);
  metrics.supervisorImage(image, fits);
  for (const renamed of config.renamed) log.warn(renamed);
  if (fits === 'moving') log.warn({ image }, `the supervisor image ${detail}`);

  let draining = false;
  const { clientAuthorities: file } = config;
  let pair = source.initial;
  const authorities =
    file === ''
      ? undefined
      : await watchFile('--require-client-cert', file, checkAuthorities, {
          onChange: () => {
            app.server.setSecureContext(context());
            log.info({ file }, 'CAs of client certificates replaced');
          },
          onProblem: (error) => log.error({ err: error }, 'CAs of client certificates not replaced: the last good ones stay in use'),
        });
  const context = (): SecureContextOptions => ({
    ...pair,
    minVersion: config.tlsMinVersion,
    // As in Go, every certificate of the file is an anchor, not only roots.
    ...(authorities === undefined ? {} : { ca: authorities.current(), allowPartialTrustChain: true }),
  });
  const app = buildWebhook({
    ...{ settings: config.sideload, facts: cluster.facts, log, metrics },
    tls: context(),
    requiresClients: authorities !== undefined,
    readImage: countedReader(images, metrics),
    tellOwner: ownerEvents?.tell,
    startSpan: spans?.review,
    draining: () => draining,
  });
  const certificates = source.follow((next, notAfter) => {
    pair = next;
    app.server.setSecureContext(context());
    metrics.certificate(notAfter);
  });
  const checks = (): ReadinessCheck[] => [
    { name: 'serving', ready: !draining, detail: draining ? 'draining' : 'accepting admission reviews' },
    certificates.readiness(),
    cluster.readiness(),
    { name: 'supervisor image', ready: true, detail: `${image}: ${detail}` },
  ];
  const admin = buildAdmin(metrics, checks, async () => ({
    ...{ version, startedAt, settings: config.shown, certificateSource: config.certificates.source },
    ...{ recent: await lastHour.read(), totals: await metrics.outcomes() },
    certificates: showCertificates(pair.cert, certificates.authorities()),
  }));

  const report = onceAMinute(({ limit, peer }: { limit: string; peer: string }, connections) =>
    log.warn({ limit, peer, connections }, `connections closed: more than --max-connections${limit === 'total' ? '' : '-per-peer'}`),
  );
  limitConnections(app.server, config.connections, (limit, peer) => {
    metrics.connectionRefused(limit);
    report({ limit, peer });
  });
  admin.server.maxConnections = ADMIN_CONNECTIONS;
  const closeUnused = watchUnused(app.server);
  const port = await listen(app, config.port, config.bindAddress);
  const adminPort = await listen(admin, config.adminPort, config.bindAddress);
  log.info({ port, adminPort, version, certificates: config.certificates.source }, 'serving');

  return {
    port,
    adminPort,
    drain: async () => {
      draining = true;
      log.info({ delaySeconds: config.shutdownDelay }, 'draining');
      await sleep(config.shutdownDelay * 1000);
      certificates.stop();
      lastHour.stop();
      authorities?.stop();
      images.stop();
      cluster.stop();
      stopCounting?.();
      // Half of a request would keep the server open for ever: with it, Node ends the timer that enforces requestTimeout.
      const force = setTimeout(() => app.server.closeAllConnections(), REQUEST_TIMEOUT_MS);
      const closed = app.close();
      closeUnused();
      await closed;
      clearTimeout(force);
      await Promise.all([ownerEvents?.stop(), spans?.stop()]);
      await admin.close();
      log.info('stopped');
    },
  };
}

async function openTrustStore(connect: () => Promise<Connection>, objects: TrustStoreNames, log: Logger): Promise<TrustStore> {
  const { clusterTrustStore } = await import('../cluster/trust-store.ts');
  return clusterTrustStore(await connect(), objects, log);
}

/** Returns a function that ends it. */
async function countUnguarded(
  connect: () => Promise<Connection>,
  { namespace, sideload }: Config,
  log: Logger,
  metrics: Metrics,
): Promise<() => void> {
  const { followUnguarded } = await import('../cluster/sandboxes.ts');
  return followUnguarded(await connect(), namespace, sideload, metrics.unguardedPods, (problem) => {
    metrics.apiServerFailure();
    log.warn({ problem }, 'sandboxes without their supervisor cannot be counted: docs/observability.md#unguarded-sandboxes');
  });
}

async function tellOwners(connect: () => Promise<Connection>, log: Logger, metrics: Metrics): Promise<OwnerEvents> {
  const { openOwnerEvents } = await import('../cluster/owner-events.ts');
  return openOwnerEvents(await connect(), log, metrics);
}

/** The client is loaded with the first pull secret, unless it is there. */
function pullSecretReader(connect: () => Promise<Connection>): ImageSources['readPullSecret'] {
  return async (namespace, name) => {
    const { readPullSecret } = await import('../cluster/pull-secrets.ts');
    return readPullSecret(await connect(), namespace, name);
  };
}

/** Kubelet and Prometheus have a few. */
const ADMIN_CONNECTIONS = 100;

/** Connections that wait to be accepted: as many as Linux allows by default. An API server dials one for each call under way, and Node.js' own 511 are fewer than it makes at once. */
const BACKLOG = 4096;

/** Listens on every address also where the kernel has no IPv6. */
async function listen(app: FastifyInstance, port: number, host: string): Promise<number> {
  try {
    await app.listen({ port, host, backlog: BACKLOG });
  } catch (error) {
    const noIpv6 = error instanceof Error && 'code' in error && (error.code === 'EAFNOSUPPORT' || error.code === 'EADDRNOTAVAIL');
    if (host !== '::' || !noIpv6) throw error;
    await app.listen({ port, host: '0.0.0.0', backlog: BACKLOG });
  }
  return (app.server.address() as AddressInfo).port;
}
