/** Alerts and dashboard name metrics and labels that the webhook has, and each alert says where its cure is written. */

import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { createMetrics } from '../src/observe/metrics.ts';

const read = (path: string): string => readFileSync(new URL(`../${path}`, import.meta.url), 'utf8');

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly labels: Record<string, string>;
  readonly annotations: Record<string, string>;
}
interface UnitTest {
  readonly alert_rule_test: readonly { alertname: string; exp_alerts: readonly { exp_labels: Record<string, string> }[] }[];
}

const rules: Rule[] = parse(read('manifests/components/monitoring/rules.yaml')).spec.groups.flatMap(
  (group: { rules: Rule[] }) => group.rules,
);
const unitTests: UnitTest[] = parse(read('test/e2e/monitoring/rules.test.yaml')).tests;
const dashboard = JSON.parse(read('manifests/components/monitoring/dashboard.json'));
const queries: string[] = dashboard.panels.flatMap(
  (panel: { targets?: { expr: string }[] }) => panel.targets?.map(({ expr }) => expr) ?? [],
);
const variables: string[] = dashboard.templating.list.flatMap(({ query, type }: { query: { query: string }; type: string }) =>
  type === 'query' ? [query.query] : [],
);
const docs = read('docs/observability.md');

/** Labels that every target has once the Prometheus Operator scrapes it. */
const TARGET_LABELS = ['namespace', 'pod', 'job', 'instance'];
const labelsOf = new Map(
  createMetrics('test', () => 0)
    .registry.getMetricsAsArray()
    .map((metric) => [metric.name, (metric as unknown as { labelNames: string[] }).labelNames]),
);
const own = [...labelsOf.keys()].filter((name) => name.startsWith('openshell_sideload_'));
/** A histogram's series carry a suffix. */
const metricOf = (series: string): string => (labelsOf.has(series) ? series : series.replace(/_(bucket|sum|count)$/, ''));

describe('alerts and dashboard', () => {
  it.each([...rules.map(({ alert, expr }) => [alert, expr]), ...[...queries, ...variables].map((query) => [query, query])])(
    'name metrics and labels that the webhook has: %s',
    (_name, expression) => {
      for (const [, series = '', selector = ''] of expression.matchAll(/\b((?:openshell_sideload|process|nodejs)_\w+)(?:\{(.*?)\})?/g)) {
        expect([...labelsOf.keys()], series).toContain(metricOf(series));
        const known = [...TARGET_LABELS, ...(labelsOf.get(metricOf(series)) ?? [])];
        for (const [, label] of selector.matchAll(/(\w+)\s*(?:=~|!~|!=|=)\s*"/g)) expect(known, series).toContain(label);
      }
    },
  );

  it('the dashboard shows each metric of the webhook', () => {
    const shown = new Set(queries.flatMap((query) => query.match(/openshell_sideload_\w+/g) ?? []).map(metricOf));
    expect([...shown].sort()).toEqual(own.toSorted());
  });

  it('every query of the dashboard goes to the data source that the viewer chose', () => {
    const used: unknown[] = [];
    JSON.parse(read('manifests/components/monitoring/dashboard.json'), (key, value) => {
      if (key === 'datasource') used.push(value);
      return value;
    });
    expect(used.length).toBeGreaterThan(queries.length);
    for (const source of used) expect(source).toEqual({ type: 'prometheus', uid: `\${datasource}` });
  });

  it('panels have an id of their own and do not overlap', () => {
    const { panels } = dashboard;
    expect(new Set(panels.map(({ id }: { id: number }) => id)).size).toBe(panels.length);
    const cells = panels.flatMap(({ gridPos: { x, y, w, h } }: { gridPos: Record<'x' | 'y' | 'w' | 'h', number> }) => {
      expect(x + w).toBeLessThanOrEqual(24);
      return Array.from({ length: w * h }, (_, n) => `${x + (n % w)},${y + Math.floor(n / w)}`);
    });
    expect(new Set(cells).size).toBe(cells.length);
  });
});

describe.each(rules)('$alert', ({ alert, labels, annotations }) => {
  const expected = unitTests.flatMap((test) => test.alert_rule_test).filter(({ alertname }) => alertname === alert);
  const fires = expected.flatMap(({ exp_alerts }) => exp_alerts);

  it('has a severity, a summary and a description', () => {
    expect(['critical', 'warning', 'info']).toContain(labels.severity);
    expect(annotations.summary).toMatch(/^[A-Z].*\.$/);
    expect(annotations.description).toMatch(/\.$/);
  });

  it('points to its section of the docs', () => {
    expect(annotations.runbook).toBe(`docs/observability.md#${alert.toLowerCase()}`);
    expect(docs).toMatch(new RegExp(`^### ${alert}$`, 'm'));
  });

  it('is shown by a unit test to fire, and not to fire', () => {
    expect(fires.length).toBeGreaterThan(0);
    expect(expected.some(({ exp_alerts }) => exp_alerts.length === 0)).toBe(true);
  });

  it('has the labels that its description names', () => {
    for (const [, label = ''] of Object.values(annotations)
      .join(' ')
      .matchAll(/\$labels\.(\w+)/g))
      for (const { exp_labels } of fires) expect(Object.keys(exp_labels)).toContain(label);
  });
});

it('the docs have no section of an alert that is gone', () => {
  const sections = [...docs.matchAll(/^### (OpenShell\w+)$/gm)].map(([, alert]) => alert);
  expect(sections.toSorted()).toEqual(rules.map(({ alert }) => alert).toSorted());
});
