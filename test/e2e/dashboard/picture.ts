/**
 * Draws the dashboard into docs/images/dashboard.png: a real Prometheus scrapes two real replicas and a real kube-apiserver
 * while pods are created for some minutes, and each panel shows what the queries of the dashboard's JSON return. Grafana
 * itself is not needed; the page is ours, and Debian's Chromium turns it into a picture.
 */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { openBrowser } from '../browser.ts';
import { type Installation, startInstallation } from '../monitoring/installation.ts';
import type { Prometheus } from '../monitoring/prometheus.ts';
import { createPods, postNonsense } from '../monitoring/traffic.ts';
import { interpolate, type Panel, readDashboard } from './model.ts';
import { drawPage, type PanelData, type Period, WIDTH } from './page.ts';

const PICTURE = fileURLToPath(new URL('../../../docs/images/dashboard.png', import.meta.url));
const [SCRAPE_SECONDS, SHOWN_SECONDS] = [3, 300];

/** What an operator would see happen in a busy hour: the CA is rotated, a replica restarted, the API server away. */
async function disturb({ cluster, replicas: [, second] }: Installation): Promise<void> {
  await sleep(60_000);
  await cluster.run(['annotate', 'secret', 'openshell-sideload-ca', '-n', 'openshell-system', 'openshell.ai/rotate-ca=now']);
  await sleep(60_000);
  await second.stop();
  await sleep(10_000);
  await second.start();
  await sleep(60_000);
  await cluster.stopApiserver();
  await sleep(8_000);
  await cluster.startApiserver();
}

async function scan({ replicas }: Installation, seconds: number): Promise<void> {
  for (const end = Date.now() + seconds * 1000; Date.now() < end; await sleep(1500 + 3000 * Math.random())) {
    const type = Math.random() < 0.5 ? 'application/json' : 'text/plain';
    await Promise.allSettled(replicas.map((replica) => postNonsense(replica, type)));
  }
}

/** Asks Prometheus what a panel shows. */
async function ask(prometheus: Prometheus, panel: Panel, { start, end, step }: Period): Promise<PanelData> {
  const answers = (panel.targets ?? []).map(async ({ expr, legendFormat }) => {
    // Grafana's own rule for $__rate_interval.
    const expression = interpolate(expr, end - start, Math.max(step + SCRAPE_SECONDS, 4 * SCRAPE_SECONDS));
    const series =
      panel.type === 'timeseries' ? await prometheus.queryRange(expression, start, end, step) : await prometheus.query(expression, end);
    return series.map(({ metric, points }) => ({
      name: legendFormat.replaceAll(/\{\{(\w+)\}\}/g, (_, label: string) => metric[label] ?? ''),
      points,
    }));
  });
  return (await Promise.all(answers)).flat();
}

async function photograph(html: string, height: number, picture: string): Promise<void> {
  const browser = await openBrowser();
  const page = await browser.newPage({ viewport: { width: WIDTH, height: Math.ceil(height) } });
  await page.setContent(html);
  await page.screenshot({ path: picture });
  await browser.close();
}

const dir = mkdtempSync(join(tmpdir(), 'sideload-dashboard-'));
const installation = await startInstallation(dir, SCRAPE_SECONDS);
try {
  // Rates need some scrapes before the first moment that is shown.
  const seconds = SHOWN_SECONDS + 10 * SCRAPE_SECONDS;
  const [answered] = await Promise.all([createPods(installation, seconds), disturb(installation), scan(installation, seconds)]);
  const end = Math.floor(Date.now() / 1000);
  const period = { start: end - SHOWN_SECONDS, end, step: SCRAPE_SECONDS };
  const dashboard = readDashboard();
  const data = new Map<Panel, PanelData>();
  for (const panel of dashboard.panels) data.set(panel, await ask(installation.prometheus, panel, period));
  const { html, height } = drawPage(dashboard, period, data);
  await photograph(html, height, PICTURE);
  console.log(`${answered} creations answered; drawn into ${PICTURE}`);
} finally {
  await installation.stop();
  rmSync(dir, { recursive: true });
}
