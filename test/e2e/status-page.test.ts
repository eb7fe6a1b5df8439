/** The page of the admin port in a real browser, with certificates that replicas share through a real API server. */

import { X509Certificate } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import axe from 'axe-core';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sandbox } from '../pods.ts';
import { review } from '../reviews.ts';
import { openBrowser } from './browser.ts';
import { type ControlPlane, openControlPlane } from './cluster/control-plane.ts';
import { freePorts, type Process, start, waitFor } from './cluster/process.ts';
import { isReady, kubeconfigOf, startWebhook } from './webhook.ts';

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const dir = mkdtempSync(join(tmpdir(), 'sideload-page-'));
let cluster: ControlPlane;
let browser: Browser;
let [port, adminPort] = [0, 0];
const running: Process[] = [];

const bundle = async (): Promise<string> => {
  const path = 'jsonpath={.webhooks[0].clientConfig.caBundle}';
  const text = await cluster.run(['get', 'mutatingwebhookconfiguration', 'openshell-sideload', '-o', path]);
  return Buffer.from(text, 'base64').toString();
};

async function send(pod: object): Promise<void> {
  const ca = await bundle();
  const address = { host: '127.0.0.1', servername: 'openshell-sideload.openshell-system.svc', port, path: '/mutate', ca };
  await new Promise((resolve, reject) => {
    const call = request({ ...address, method: 'POST', headers: { 'content-type': 'application/json' } }, (response) =>
      response.resume().on('end', resolve),
    );
    call.on('error', reject).end(JSON.stringify(review(pod)));
  });
}

beforeAll(async () => {
  [cluster, browser] = await Promise.all([openControlPlane(join(dir, 'cluster')), openBrowser()]);
  await cluster.run(['apply', '-k', 'manifests/base']);
  const kubeconfig = join(dir, 'kubeconfig');
  writeFileSync(kubeconfig, await kubeconfigOf(cluster));
  [port = 0, adminPort = 0] = await freePorts(2);
  const ports = [`--port=${port}`, `--admin-port=${adminPort}`, '--bind-address=127.0.0.1', '--shutdown-delay=0'];
  const flags = ['--certificates=self-managed', '--preflight=on', '--pinned-env=TOKEN=hidden'];
  const replica = start('replica', process.execPath, [MAIN, ...ports, ...flags], join(dir, 'replica.log'), {
    ...process.env,
    KUBECONFIG: kubeconfig,
  });
  running.push(replica);
  await waitFor('a ready replica', () => isReady(adminPort), [replica]);
  await send(sandbox());
  await send(sandbox({ labels: { 'openshell.ai/sandbox': 'ture' } }));
});

afterAll(async () => {
  await browser?.close();
  for (const program of running) await program.stop();
  await cluster?.stop();
});

/** Opens the page; what it asked for beside itself, and what the browser complains about, ends up in the lists. */
async function open(at: number, options: BrowserContextOptions = {}): Promise<{ page: Page; requests: string[]; complaints: string[] }> {
  const page = await (await browser.newContext(options)).newPage();
  const [requests, complaints]: [string[], string[]] = [[], []];
  page.on('request', (sent) => void requests.push(sent.url()));
  page.on('console', (message) => void complaints.push(message.text()));
  page.on('pageerror', (error) => void complaints.push(error.message));
  page.on('dialog', (dialog) => void complaints.push(`dialog: ${dialog.message()}`));
  await page.goto(`http://127.0.0.1:${at}/`);
  return { page, requests, complaints };
}

const rowsOf = (page: Page, table: string): Promise<string[][]> =>
  page
    .getByRole('region', { name: table })
    .locator('tbody tr')
    .evaluateAll((rows) => rows.map((row) => [...row.children].map((cell) => cell.textContent ?? '')));

describe('the page', () => {
  it('shows readiness, outcomes, and the CA that caBundle holds', async () => {
    const { page, requests, complaints } = await open(adminPort);
    expect(await page.title()).toBe('ready: openshell-sideload');
    expect((await rowsOf(page, 'Readiness')).map(([name, ready]) => [name, ready])).toEqual([
      ['serving', 'yes'],
      ['certificate', 'yes'],
      ['cluster', 'yes'],
      ['supervisor image', 'yes'],
    ]);
    expect((await rowsOf(page, 'Outcomes')).map(([outcome, reason, , hour, all]) => [outcome, reason, hour, all])).toEqual([
      ['refused', 'unknown-label-value', '1', '1'],
      ['injected', 'injected', '1', '1'],
    ]);
    const certificates = await rowsOf(page, 'Certificates');
    expect(certificates.map(([role]) => role)).toEqual(['serving', 'CA that signs']);
    expect(certificates.at(-1)?.at(-1)).toBe(new X509Certificate(await bundle()).fingerprint256);
    expect(await page.content()).not.toContain('hidden');
    expect([requests, complaints]).toEqual([[`http://127.0.0.1:${adminPort}/`], []]);
  });

  it.each(['light', 'dark'] as const)('is accessible in a %s scheme, and its style applies', async (colorScheme) => {
    const { page, complaints } = await open(adminPort, { colorScheme });
    // The page's own policy forbids scripts: this one is the debugger's.
    await page.evaluate(axe.source);
    const violations = await page.evaluate(async () => {
      const found = await (globalThis as unknown as { axe: typeof axe }).axe.run();
      return found.violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`);
    });
    expect(violations).toEqual([]);
    const background = await page.evaluate('getComputedStyle(document.body).backgroundColor');
    expect(background).toBe(colorScheme === 'dark' ? 'rgb(13, 17, 23)' : 'rgb(255, 255, 255)');
    expect(complaints).toEqual([]);
  });

  it('fits a narrow window, where the keyboard reaches what scrolls', async () => {
    const { page } = await open(adminPort, { viewport: { width: 360, height: 640 } });
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(360);
    await page.keyboard.press('Tab');
    expect(await page.evaluate(`document.activeElement.getAttribute('aria-label')`)).toBe('Readiness');
  });

  it('runs no script, however one gets into a message', async () => {
    const hostile = join(dir, '<img src=x onerror=alert(1)><script>alert(2)<!--');
    mkdirSync(hostile);
    const [own = 0, ownAdmin = 0] = await freePorts(2);
    running.push(await startWebhook(hostile, { port: own, adminPort: ownAdmin }));
    const { page, requests, complaints } = await open(ownAdmin);
    const [, , why] = (await rowsOf(page, 'Readiness'))[1] ?? [];
    expect(why).toContain(`from ${hostile}/tls, valid until `);
    expect(readFileSync(join(hostile, 'webhook.log'), 'utf8')).toContain('serving');
    expect([requests.length, complaints]).toEqual([1, []]);
    // The policy itself, with a script that the page does not have.
    const violated = await page.evaluate(`new Promise((resolve) => {
      document.addEventListener('securitypolicyviolation', ({ violatedDirective }) => resolve(violatedDirective));
      document.body.innerHTML = '<img src="data:," onerror="document.title = 1">';
    })`);
    expect(violated).toBe('script-src-attr');
    expect(await page.title()).toBe('ready: openshell-sideload');
  });
});
