/** The page of the admin port. test/e2e/status-page.test.ts opens it in a browser. */

import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { readConfig } from '../src/config/config.ts';
import { OPTIONS } from '../src/config/options.ts';
import { followLastHour } from '../src/observe/last-hour.ts';
import { html } from '../src/server/html.ts';
import { type Running, startWebhook } from '../src/server/start.ts';
import { STATUS_HEADERS, type Status, statusPage } from '../src/server/status-page.ts';
import { certificateOf } from '../src/tls/bundle.ts';
import { makeAuthority } from '../src/tls/issue.ts';
import { ensureLocalCertificates } from '../src/tls/local.ts';
import { namesOfService } from '../src/tls/names.ts';
import { authoritiesOf, showCertificates } from '../src/tls/shown.ts';
import { sandbox } from './pods.ts';
import { review } from './reviews.ts';

const HOUR_MS = 60 * 60_000;

describe('the page at / of the admin port', () => {
  const dir = mkdtempSync(join(tmpdir(), 'sideload-page-'));
  // A path is the operator's, and may hold anything.
  const tlsDir = join(dir, `<script>alert(1)<!--&"'`);
  const SECRETS = ['--supervisor-env=A=hidden-1', '--pinned-env=B=hidden-2', '--supervisor-arg=--upstream-proxy=http://u:hidden-3@proxy'];
  let running: Running;
  const get = (method = 'GET'): Promise<Response> => fetch(`http://127.0.0.1:${running.adminPort}/`, { method });

  const send = (pod: object): Promise<unknown> =>
    new Promise((resolve, reject) => {
      const ca = readFileSync(join(tlsDir, 'ca.crt'));
      const headers = { 'content-type': 'application/json' };
      const call = request({ host: 'localhost', port: running.port, path: '/mutate', method: 'POST', ca, headers }, (response) =>
        response.resume().on('end', resolve),
      );
      call.on('error', reject).end(JSON.stringify(review(pod)));
    });

  beforeAll(async () => {
    await ensureLocalCertificates(tlsDir, namesOfService('openshell-sideload', 'openshell-system'));
    const ports = ['--port=0', '--admin-port=0', '--bind-address=127.0.0.1', '--shutdown-delay=0'];
    const config = readConfig([...ports, `--tls-cert-dir=${tlsDir}`, '--missing-policy=warn', ...SECRETS], {});
    running = await startWebhook(config, '1.2.3', pino({ level: 'silent' }), () => 0);
  });
  afterAll(async () => {
    await running.drain();
    rmSync(dir, { recursive: true });
  });

  it('shows readiness, outcomes by reason, the certificate, the version and settings', async () => {
    expect(await (await get()).text()).toContain('No review has come yet.');
    await send(sandbox());
    await send(sandbox());
    await send(sandbox({ labels: { 'openshell.ai/sandbox': 'ture' } }));
    const page = await (await get()).text();
    expect(page).toContain('<p>This replica is <span class="good">ready</span>. Version 1.2.3, ');
    const documents = 'https://github.com/openshell-sideload/openshell-sideload/blob/v1.2.3/docs';
    expect(page).toContain(
      `<tr><td>refused</td><th scope="row"><a href="${documents}/troubleshooting.md#unknown-label-value"><code>unknown-label-value</code></a></th>` +
        `<td>the sandbox label has a value other than &quot;true&quot; or &quot;false&quot;</td><td class="count">1</td><td class="count">1</td></tr>`,
    );
    expect(page).toMatch(/<code>injected<\/code><\/a><\/th><td>[^<]*<\/td><td class="count">2<\/td><td class="count">2<\/td>/);
    const served = new X509Certificate(readFileSync(join(tlsDir, 'tls.crt')));
    expect(page).toContain('Source: directory.');
    expect(page).toContain(`<code>${served.fingerprint256}</code>`);
    expect(page).toContain('<code>--missing-policy</code></th><td><code>warn</code></td><td>no</td>');
    expect(page).toContain('<code>--policy</code></th><td><code>none</code></td><td>yes</td>');
  });

  it('has no secret, no pod and no namespace', async () => {
    const page = await (await get()).text();
    for (const hidden of ['hidden-', 'proxy', 'sandbox"', 'agents', 'openshell-system']) expect(page).not.toContain(hidden);
  });

  it('escapes what comes from outside', async () => {
    const page = await (await get()).text();
    expect(page).toContain('&lt;script&gt;alert(1)&lt;!--&amp;&quot;&#39;');
    expect(page).not.toMatch(/<script|<!--/);
  });

  it('is for GET and HEAD only, is not kept, and loads nothing', async () => {
    for (const method of ['GET', 'HEAD']) {
      const { status, headers } = await get(method);
      expect([method, status]).toEqual([method, 200]);
      expect(Object.fromEntries(headers)).toMatchObject(STATUS_HEADERS);
    }
    expect(await (await get('HEAD')).text()).toBe('');
    for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS']) expect((await get(method)).status).toBe(404);
    expect(STATUS_HEADERS).toMatchObject({ 'cache-control': 'no-store' });
    expect(STATUS_HEADERS['content-security-policy']).toMatch(/^default-src 'none'; style-src 'sha256-[\w+/=]+'; base-uri 'none'/);
  });
});

describe('the page', () => {
  const status: Status = {
    ...{ version: '1.2.3', startedAt: new Date(0), readiness: [], recent: { since: new Date(0), counts: new Map() }, totals: new Map() },
    ...{ certificateSource: 'directory', certificates: [], settings: [] },
  };

  it('says that the replica is not ready, and why', () => {
    const page = statusPage({ ...status, readiness: [{ name: 'cluster', ready: false, detail: 'no response yet' }] }, new Date(0));
    expect(page).toContain('<title>not ready: openshell-sideload</title>');
    expect(page).toContain('<th scope="row">cluster</th><td><span class="bad">no</span></td><td>no response yet</td>');
  });

  it('is bounded, whatever a mounted chain or a message holds', () => {
    const certificate = {
      role: 'chain',
      issuer: 'x'.repeat(10_000),
      validFrom: new Date(0),
      validTo: new Date(0),
      fingerprint: 'AB',
    } as const;
    const readiness = [{ name: 'cluster', ready: false, detail: 'y'.repeat(1_000_000) }];
    const page = statusPage({ ...status, readiness, certificates: Array(1000).fill(certificate) }, new Date(1));
    expect(page.length).toBeLessThan(32 * 1024);
    expect(page).toContain('980 more are not shown.');
    expect(page).toContain('<span class="bad">expired</span>');
  });
});

describe('html', () => {
  it('escapes values, in texts and attributes, but what it made itself', () => {
    const value = `<i>&"'\u202e`;
    expect(html`<p title="${value}">${html`<b>${value}</b>`}${[html`<u>${1}</u>`]}</p>`.text).toBe(
      `<p title="&lt;i&gt;&amp;&quot;&#39;\\u202e"><b>&lt;i&gt;&amp;&quot;&#39;\\u202e</b><u>1</u></p>`,
    );
  });
});

describe('settings on the page', () => {
  it('are none that may hold a secret, and none that name a file, a Secret or a host', () => {
    const shown = readConfig([], {}).shown.map(({ option }) => option.slice(2));
    const secret = Object.entries(OPTIONS).flatMap(([name, option]) => ('secret' in option && option.secret ? [name] : []));
    expect(secret.toSorted()).toEqual(['pinned-env', 'supervisor-arg', 'supervisor-env']);
    const named = Object.entries(OPTIONS).flatMap(([name, { value }]) => (/FILE|DIR|HOST|ADDRESS|KEY/.test(value) ? [name] : []));
    expect(named.length).toBeGreaterThan(5);
    expect(shown.length).toBeGreaterThan(10);
    for (const name of [...secret, ...named]) expect(shown).not.toContain(name);
  });
});

describe('the last hour of a counter', () => {
  const NOON = Date.UTC(2026, 0, 1, 12);
  let totals: Map<string, number>;
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'Date'], now: NOON });
    totals = new Map();
  });
  afterEach(() => void vi.useRealTimers());
  const minutes = (count: number): Promise<unknown> => vi.advanceTimersByTimeAsync(count * 60_000);

  it('has what was counted since the start of the process, at first', async () => {
    const { read, stop } = followLastHour(async () => totals);
    totals = new Map([['injected', 2]]);
    await minutes(59);
    expect(await read()).toEqual({ since: new Date(NOON), counts: new Map([['injected', 2]]) });
    stop();
  });

  it('forgets what is older than an hour', async () => {
    const { read, stop } = followLastHour(async () => new Map(totals));
    totals.set('injected', 5);
    await minutes(30);
    totals.set('injected', 7).set('refused', 1);
    await minutes(45);
    const { since, counts } = await read();
    expect(counts).toEqual(
      new Map([
        ['injected', 2],
        ['refused', 1],
      ]),
    );
    expect(Date.now() - since.getTime()).toBeLessThanOrEqual(HOUR_MS);
    await minutes(24 * 60);
    expect((await read()).counts).toEqual(new Map());
    stop();
  });
});

describe('certificates for people', () => {
  const make = async (name: string): Promise<X509Certificate> =>
    new X509Certificate((await makeAuthority(name, new Date(), new Date(Date.now() + HOUR_MS))).cert);

  it('are the chain, and the CAs with their parts in a rotation', async () => {
    const [leaf, parent, active, next, former] = await Promise.all(['leaf', 'parent', 'active', 'next', 'former'].map(make));
    if (!leaf || !parent || !active || !next || !former) throw new Error('five were made');
    const authorities = authoritiesOf({
      active: { certificate: certificateOf(active), key: '' },
      next: { certificate: certificateOf(next), key: '' },
      retiring: [{ certificate: certificateOf(former), until: new Date() }],
    });
    const shown = showCertificates(`${leaf}${parent}`, authorities);
    expect(shown.map(({ role, fingerprint, issuer }) => [role, fingerprint, issuer])).toEqual([
      ['serving', leaf.fingerprint256, 'CN=leaf'],
      ['chain', parent.fingerprint256, 'CN=parent'],
      ['CA that signs', active.fingerprint256, 'CN=active'],
      ['next CA', next.fingerprint256, 'CN=next'],
      ['former CA', former.fingerprint256, 'CN=former'],
    ]);
    expect(authoritiesOf(undefined)).toEqual([]);
  });
});
