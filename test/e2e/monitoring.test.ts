/**
 * The monitoring component on a real kube-apiserver with the Prometheus Operator's definitions, and a real Prometheus that
 * scrapes two real replicas and the API server: its objects are taken, its alerts fire when they should, and the dashboard's
 * queries find what they look for.
 */

import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import { sandbox } from '../pods.ts';
import { requirePrograms } from './cluster/debian.ts';
import { waitFor } from './cluster/process.ts';
import { interpolate, readDashboard } from './dashboard/model.ts';
import { type Installation, startInstallation } from './monitoring/installation.ts';
import { everyPod, postNonsense } from './monitoring/traffic.ts';

const path = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
const NAMESPACE = ['-n', 'openshell-system'];
const dir = mkdtempSync(join(tmpdir(), 'sideload-monitoring-'));
/** A bound for what never has data. */
const ROUNDS = 60;
let installation: Installation;

const get = async (...object: string[]) => JSON.parse(await installation.cluster.run(['get', ...object, ...NAMESPACE, '-o', 'json']));
const firing = async (): Promise<string[]> =>
  (await installation.prometheus.alerts()).filter(({ state }) => state === 'firing').map(({ labels }) => labels.alertname ?? '');

beforeAll(async () => {
  installation = await startInstallation(dir, 1);
});

afterAll(async () => {
  await installation?.stop();
});

describe('the objects', () => {
  it('the PodMonitor selects the pods of the Deployment, and a port and a label that they have', async () => {
    const [{ spec }, deployment] = await Promise.all([get('podmonitor', 'openshell-sideload'), get('deployment', 'openshell-sideload')]);
    const { metadata, spec: pod } = deployment.spec.template;
    expect(metadata.labels).toMatchObject(spec.selector.matchLabels);
    expect(metadata.labels[spec.jobLabel]).toBe('openshell-sideload');
    expect(spec.podMetricsEndpoints.map(({ port }: { port: string }) => port)).toEqual(['admin']);
    expect(pod.containers[0].ports).toContainEqual(expect.objectContaining({ name: 'admin' }));
  });

  it('a member that the definition does not know would be refused', async () => {
    const podMonitor = readFileSync(path('../../manifests/components/monitoring/podmonitor.yaml'), 'utf8');
    const apply = (text: string) => installation.cluster.kubectl(['apply', '--dry-run=server', '--validate=strict', '-f', '-'], text);
    expect((await apply(podMonitor)).code).toBe(0);
    expect((await apply(podMonitor.replace('jobLabel', 'jobLabels'))).stderr).toContain('unknown field "spec.jobLabels"');
  });

  it('the ConfigMap for Grafana’s sidecar holds the dashboard', async () => {
    const { metadata, data } = await get('configmap', 'openshell-sideload-dashboard');
    expect(metadata.labels.grafana_dashboard).toBe('1');
    expect(JSON.parse(data['openshell-sideload.json'])).toEqual(readDashboard());
  });
});

describe('the rules, by promtool', () => {
  const { promtool } = requirePrograms({ promtool: 'prometheus' });
  const rules = join(dir, 'promtool', 'rules.yaml');
  const run = (...args: string[]): string => execFileSync(promtool, args, { encoding: 'utf8', stdio: 'pipe' });

  beforeAll(async () => {
    mkdirSync(join(dir, 'promtool'));
    copyFileSync(path('monitoring/rules.test.yaml'), join(dir, 'promtool', 'rules.test.yaml'));
    writeFileSync(rules, stringify((await get('prometheusrule', 'openshell-sideload')).spec));
  });

  it('are valid', () => {
    expect(run('check', 'rules', '--lint=all', '--lint-fatal', rules)).toContain('SUCCESS');
  });

  it('fire, and do not fire, as their unit tests say', () => {
    // The tests are about when an alert fires: promtool would have its prose repeated there word for word.
    const spec = parse(readFileSync(rules, 'utf8'));
    for (const rule of spec.groups.flatMap((group: { rules: { annotations: object }[] }) => group.rules)) delete rule.annotations;
    writeFileSync(rules, stringify(spec));
    expect(run('test', 'rules', join(dir, 'promtool', 'rules.test.yaml'))).toContain('SUCCESS');
  });
});

describe('after admissions of every kind', () => {
  const queries = readDashboard().panels.flatMap(({ title, targets = [] }) => targets.map(({ expr }) => ({ title, expr })));
  // Self-managed certificates are not read from a directory.
  const [withoutData, withData] = [true, false].map((empty) =>
    queries.filter(({ expr }) => expr.includes('openshell_sideload_certificate_reloads_total') === empty),
  );

  /** The moment at which the dashboard is looked at. */
  let at = 0;
  const valuesOf = async (expr: string): Promise<(number | undefined)[]> =>
    (await installation.prometheus.query(interpolate(expr, 60, 30), at)).map(({ points }) => points[0]?.[1]);
  const isNumber = (value: number | undefined): boolean => value !== undefined && value >= 0;

  beforeAll(async () => {
    const { create, replicas } = installation;
    // Counters show in a rate from their second scrape on. However late that comes, every query gets its data at one moment.
    for (let round = 0, lacking = 1; round < ROUNDS && lacking > 0; round++) {
      await Promise.all(everyPod().map((pod) => create(pod)));
      expect(await Promise.all(replicas.map((replica) => postNonsense(replica)))).toEqual([400, 400]);
      await sleep(1_000);
      at = Date.now() / 1000;
      const values = await Promise.all((withData ?? []).map(({ expr }) => valuesOf(expr)));
      lacking = values.filter((each) => each.length === 0 || !each.every(isNumber)).length;
    }
  });

  it.each(withData ?? [])('the dashboard’s query has data: $title: $expr', async ({ expr }) => {
    const values = await valuesOf(expr);
    expect(values.length).toBeGreaterThan(0);
    for (const value of values) expect(value).toBeGreaterThanOrEqual(0);
  });

  it.each(withoutData ?? [])('the dashboard’s query is valid: $title: $expr', async ({ expr }) => {
    expect(await valuesOf(expr)).toEqual([]);
  });

  it('legends name labels that the series have', async () => {
    for (const { targets = [] } of readDashboard().panels)
      for (const { expr, legendFormat } of targets)
        for (const { metric } of await installation.prometheus.query(interpolate(expr, 60, 30), at))
          for (const [, label = ''] of legendFormat.matchAll(/\{\{(\w+)\}\}/g)) expect(Object.keys(metric), expr).toContain(label);
  });

  it('an untrusted supervisor is reported, and nothing is said of a webhook that works', async () => {
    await waitFor('the alert', async () => (await firing()).includes('OpenShellSideloadUntrustedSupervisor'));
    expect(new Set(await firing())).toEqual(new Set(['OpenShellSideloadUntrustedSupervisor']));
  });
});

describe('when no replica is left', () => {
  it('the API server’s failed calls are reported, in words that name the entry', async () => {
    const { replicas, create, prometheus } = installation;
    await Promise.all(replicas.map((replica) => replica.stop()));
    await waitFor('the alert', async () => {
      expect(await create(sandbox())).toBe(500);
      return (await firing()).includes('OpenShellSideloadUnreachable');
    });
    const alert = (await prometheus.alerts()).find(({ labels }) => labels.alertname === 'OpenShellSideloadUnreachable');
    expect(alert?.labels).toMatchObject({ severity: 'critical', name: 'sandbox.sideload.openshell.ai' });
    // How many it counts depends on the scrapes between them.
    expect(alert?.annotations.description).toMatch(
      /^In 10 minutes the API server refused [1-9]\d* sandbox pods because its calls of sandbox\.sideload\.openshell\.ai failed\.$/,
    );
  });

  it('OpenShellSideloadDown begins to count, and stops when one is back', async () => {
    const { replicas, prometheus } = installation;
    const down = async (): Promise<string | undefined> =>
      (await prometheus.alerts()).find(({ labels }) => labels.alertname === 'OpenShellSideloadDown')?.state;
    await waitFor('the alert', async () => (await down()) === 'pending');
    await replicas[0].start();
    await waitFor('its end', async () => (await down()) === undefined);
  });
});
