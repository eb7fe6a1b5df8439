/** What the process reports about itself: log, metrics, readiness, failures in a row. May import sideload/ only. */

import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { type Outcome, REFUSALS } from '../sideload/outcome.ts';
import type { ClusterFacts } from '../sideload/settings.ts';
import type { ImageFit } from '../sideload/supervisor-image.ts';

const IMAGE_VOLUME_STATES: readonly ClusterFacts['imageVolumes'][] = ['kept', 'dropped', 'unknown', 'assumed'];

/** The process's Prometheus metrics; `registry` renders them. */
export type Metrics = ReturnType<typeof createMetrics>;

/**
 * @param version the product's version, for build_info
 * @param lostLines how many lines the log had no room for
 * @param lookupsInFlight how many images are being looked up
 */
export function createMetrics(version: string, lostLines: () => number, lookupsInFlight: () => number = () => 0) {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });

  const admissions = new Counter({
    name: 'openshell_sideload_admissions_total',
    help: 'Admission reviews, by verdict (skip, inject, refuse), reason code, method and dry run.',
    labelNames: ['outcome', 'reason', 'method', 'dry_run'],
    registers,
  });
  // A rate sees no first count of a series that comes with it: a refusal that happened once would be missing from a list.
  for (const reason of Object.keys(REFUSALS)) admissions.inc({ outcome: 'refuse', reason, method: 'none', dry_run: 'false' }, 0);
  const warnings = new Counter({
    name: 'openshell_sideload_warnings_total',
    help: 'Warnings given with admitted pods, by code.',
    labelNames: ['warning'],
    registers,
  });
  const duration = new Histogram({
    name: 'openshell_sideload_admission_duration_seconds',
    help: 'Time from a decoded request body to its response, without network and TLS, and without lookups of images.',
    buckets: [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1],
    registers,
  });
  const httpErrors = new Counter({
    name: 'openshell_sideload_http_errors_total',
    help: 'Requests to the webhook that got an HTTP error, by status code; after 5xx failurePolicy decides.',
    labelNames: ['code'],
    registers,
  });
  const certificateExpiry = new Gauge({
    name: 'openshell_sideload_certificate_expiry_timestamp_seconds',
    help: 'End of the validity of the serving certificate, in seconds since 1970.',
    registers,
  });
  const certificateReloads = new Counter({
    name: 'openshell_sideload_certificate_reloads_total',
    help: 'Reloads of a changed serving certificate, by result (ok, error).',
    labelNames: ['result'],
    registers,
  });
  const authorityExpiry = new Gauge({
    name: 'openshell_sideload_ca_expiry_timestamp_seconds',
    help: 'End of the validity of the CA that signed the serving certificate, in seconds since 1970; self-managed certificates only.',
    registers,
  });
  const rotations = new Counter({
    name: 'openshell_sideload_certificate_rotations_total',
    help: 'Certificates made by this replica, by kind (ca, serving); self-managed certificates only.',
    labelNames: ['kind'],
    registers,
  });
  const apiServerFailures = new Counter({
    name: 'openshell_sideload_apiserver_failures_total',
    help: 'Failed requests to the API server, for the shared CA, for the preflight, or to count sandboxes.',
    registers,
  });
  const connectionsRefused = new Counter({
    name: 'openshell_sideload_connections_refused_total',
    help: 'Connections closed before their handshake, by the limit that they exceeded (total, per-peer).',
    labelNames: ['limit'],
    registers,
  });
  for (const limit of ['total', 'per-peer']) connectionsRefused.inc({ limit }, 0);
  const imageVolumes = new Gauge({
    name: 'openshell_sideload_image_volumes',
    help: 'Whether the API server keeps image volumes: 1 for the current state (kept, dropped, unknown, assumed).',
    labelNames: ['state'],
    registers,
  });
  const imageLookups = new Counter({
    name: 'openshell_sideload_image_lookups_total',
    help: 'Images looked up, by what was asked (cache, digest, registry, map, none) and outcome (found, or the problem).',
    labelNames: ['source', 'outcome'],
    registers,
  });
  const lookupDuration = new Histogram({
    name: 'openshell_sideload_image_lookup_duration_seconds',
    help: 'Time to look an image up, by what was asked (cache, digest, registry, map, none).',
    labelNames: ['source'],
    buckets: [0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    registers,
  });
  new Gauge({
    name: 'openshell_sideload_image_lookups_in_flight',
    help: 'Images that are being looked up at registries at this moment.',
    registers,
    collect() {
      this.set(lookupsInFlight());
    },
  });
  const supervisorImages = new Gauge({
    name: 'openshell_sideload_supervisor_image_info',
    help: 'Always 1; the labels hold the configured supervisor image, and whether its supervisor runs in the pod (yes, moving, unknown).',
    labelNames: ['image', 'fits'],
    registers,
  });
  const nodes = new Gauge({
    name: 'openshell_sideload_nodes',
    help: 'Schedulable Linux nodes, by whether they are known to mount image volumes (yes, unknown); absent when nodes cannot be listed.',
    labelNames: ['mounts_images'],
    registers,
  });
  const unguarded = new Gauge({
    name: 'openshell_sideload_unguarded_pods',
    help: 'Sandboxes that run without their supervisor in namespaces that opted in, as each replica sees them all; absent unless --count-unguarded is set and permitted.',
    registers,
  });
  // Not known is not none.
  unguarded.remove();
  const ownerEvents = new Counter({
    name: 'openshell_sideload_owner_events_total',
    help: 'Events about owners of pods, by result (created, duplicate: another replica wrote it, failed, dropped: too many); with --owner-events only.',
    labelNames: ['result'],
    registers,
  });
  new Counter({
    name: 'openshell_sideload_log_lines_lost_total',
    help: 'Log lines dropped because the log reader was too slow or gone.',
    registers,
    collect() {
      this.reset();
      this.inc(lostLines());
    },
  });
  new Gauge({
    name: 'openshell_sideload_build_info',
    help: 'Always 1; the labels hold the versions.',
    labelNames: ['version', 'node'],
    registers,
  }).set({ version, node: process.version }, 1);

  return {
    registry,
    /** Reviews by reason code since the start, dry runs among them; only of codes that came. */
    async outcomes(): Promise<Map<string, number>> {
      const { values } = await admissions.get();
      const totals = new Map<string, number>();
      for (const { labels, value } of values)
        if (value > 0) totals.set(String(labels.reason), (totals.get(String(labels.reason)) ?? 0) + value);
      return totals;
    },
    admission(outcome: Outcome, dryRun: boolean, seconds: number): void {
      const method = outcome.verdict === 'inject' ? outcome.method : 'none';
      admissions.inc({ outcome: outcome.verdict, reason: outcome.reason, method, dry_run: String(dryRun) });
      if (outcome.verdict !== 'refuse') for (const { code } of outcome.warnings ?? []) warnings.inc({ warning: code });
      duration.observe(seconds);
    },
    httpError(code: number): void {
      httpErrors.inc({ code });
    },
    connectionRefused(limit: 'total' | 'per-peer'): void {
      connectionsRefused.inc({ limit });
    },
    certificate(notAfter: Date): void {
      certificateExpiry.set(notAfter.getTime() / 1000);
    },
    certificateReload(result: 'ok' | 'error'): void {
      certificateReloads.inc({ result });
    },
    authority(notAfter: Date): void {
      authorityExpiry.set(notAfter.getTime() / 1000);
    },
    rotation(kind: 'ca' | 'serving'): void {
      rotations.inc({ kind });
    },
    apiServerFailure(): void {
      apiServerFailures.inc();
    },
    imageLookup(source: string, outcome: string, seconds: number): void {
      imageLookups.inc({ source, outcome });
      lookupDuration.observe({ source }, seconds);
    },
    supervisorImage(image: string, fits: ImageFit['fits']): void {
      supervisorImages.set({ image, fits }, 1);
    },
    ownerEvent(result: 'created' | 'duplicate' | 'failed' | 'dropped'): void {
      ownerEvents.inc({ result });
    },
    /** @param count undefined while it is not known */
    unguardedPods(count: number | undefined): void {
      if (count === undefined) unguarded.remove();
      else unguarded.set(count);
    },
    cluster(facts: ClusterFacts): void {
      for (const state of IMAGE_VOLUME_STATES) imageVolumes.set({ state }, state === facts.imageVolumes ? 1 : 0);
      nodes.reset();
      if (!facts.nodes) return;
      nodes.set({ mounts_images: 'yes' }, facts.nodes.mountingImages);
      nodes.set({ mounts_images: 'unknown' }, facts.nodes.total - facts.nodes.mountingImages);
    },
  };
}
