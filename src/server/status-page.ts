/** The page of the admin port: what the process knows of itself, for people. */

import { createHash } from 'node:crypto';
import type { ShownSetting } from '../config/shown.ts';
import { documentUrl } from '../observe/documents.ts';
import type { Recent, Totals } from '../observe/last-hour.ts';
import type { ReadinessCheck } from '../observe/readiness.ts';
import { INJECTIONS, REFUSALS, SKIPS } from '../sideload/outcome.ts';
import type { ShownCertificate } from '../tls/shown.ts';
import { Html, html } from './html.ts';

/** What the page shows. It has nothing of a pod, and no namespace of one. */
export interface Status {
  readonly version: string;
  readonly startedAt: Date;
  readonly readiness: readonly ReadinessCheck[];
  readonly recent: Recent;
  /** Reviews by reason code, since the start. */
  readonly totals: Totals;
  /** The option of certificates: directory, self-managed or local. */
  readonly certificateSource: string;
  readonly certificates: readonly ShownCertificate[];
  readonly settings: readonly ShownSetting[];
}

/** A mounted chain may have any length. */
const MAX_CERTIFICATES = 20;

const STYLE = `
:root { color-scheme: light dark; --text: #1f2328; --muted: #59636e; --line: #d1d9e0; --back: #ffffff; --good: #116329; --bad: #a40e26; --link: #0550ae }
@media (prefers-color-scheme: dark) {
  :root { --text: #e6edf3; --muted: #9ea7b3; --line: #3d444d; --back: #0d1117; --good: #56d364; --bad: #ff8f85; --link: #79b8ff }
}
* { box-sizing: border-box }
body { margin: 0 auto; padding: 1rem; max-width: 70rem; background: var(--back); color: var(--text); font: 1rem/1.5 system-ui, sans-serif }
h1 { font-size: 1.5rem; margin: 0 }
h2 { font-size: 1.15rem; margin: 2rem 0 .5rem }
p { margin: .25rem 0 }
a { color: var(--link) }
.muted { color: var(--muted) }
.good { color: var(--good); font-weight: 600 }
.bad { color: var(--bad); font-weight: 600 }
.wide { overflow-x: auto }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; vertical-align: top; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid var(--line) }
.count { text-align: right; font-variant-numeric: tabular-nums }
code { font: .875em ui-monospace, monospace; overflow-wrap: anywhere }
`;

/**
 * The headers of the page. Nothing but its own style is loaded or runs; it is not kept, and no other page may frame it.
 */
export const STATUS_HEADERS: Readonly<Record<string, string>> = {
  'content-type': 'text/html; charset=utf-8',
  'content-security-policy': `default-src 'none'; style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
  'cache-control': 'no-store',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
};

const DOCUMENTS = {
  'When something is wrong': 'docs/operations.md',
  'Reasons and their fixes': 'docs/troubleshooting.md',
  'Dashboard and alerts': 'docs/observability.md',
  'Options and commands': 'docs/reference/options.md',
  'Endpoints, metrics and log': 'docs/reference/metrics.md',
  Security: 'docs/security.md',
};

/**
 * Writes the page. It does not reload itself: that takes a reader's place away (WCAG 2.2.1).
 *
 * @param now the moment that the page shows
 */
export function statusPage(status: Status, now: Date): string {
  const { version, startedAt, readiness } = status;
  const isReady = readiness.every(({ ready }) => ready);
  const state = isReady ? html`<span class="good">ready</span>` : html`<span class="bad">not ready</span>`;
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${isReady ? 'ready' : 'not ready'}: openshell-sideload</title>
<style>${new Html(STYLE)}</style>
</head>
<body>
<main>
<h1>openshell-sideload</h1>
<p>This replica is ${state}. Version ${version}, Node.js ${process.version}, started ${time(startedAt)}.</p>
<p class="muted">As of ${time(now)}; reload the page for a later moment.</p>
${readinessSection(readiness)}
${outcomesSection(status)}
${certificatesSection(status, now)}
${settingsSection(status)}
<h2>Documents of this version</h2>
<ul>${Object.entries(DOCUMENTS).map(([title, path]) => html`<li><a href="${documentUrl(path, version)}">${title}</a></li>`)}</ul>
</main>
</body>
</html>
`.text;
}

/** To the second: a reader compares it with logs. */
function time(moment: Date): Html {
  const iso = `${moment.toISOString().slice(0, 19)}Z`;
  return html`<time datetime="${iso}">${iso.replace('T', ' ').replace('Z', ' UTC')}</time>`;
}

function table(label: string, heads: readonly Html[], rows: readonly Html[]): Html {
  // A keyboard has to reach what scrolls.
  return html`<div class="wide" role="region" aria-label="${label}" tabindex="0"><table><thead><tr>${heads}</tr></thead><tbody>${rows}</tbody></table></div>`;
}

const head = (text: string): Html => html`<th scope="col">${text}</th>`;
const countHead = (text: string): Html => html`<th scope="col" class="count">${text}</th>`;

function readinessSection(checks: readonly ReadinessCheck[]): Html {
  const rows = checks.map(({ name, ready, detail }) => {
    const state = ready ? html`<span class="good">yes</span>` : html`<span class="bad">no</span>`;
    return html`<tr><th scope="row">${name}</th><td>${state}</td><td>${detail}</td></tr>`;
  });
  return html`<h2>Readiness</h2>${table('Readiness', [head('Check'), head('Ready'), head('Why')], rows)}`;
}

/** Outcomes with their meanings: refusals first, as they need somebody to act. */
const OUTCOMES: readonly { readonly outcome: string; readonly reason: string; readonly summary: string }[] = [
  ...Object.entries(REFUSALS).map(([reason, { summary }]) => ({ outcome: 'refused', reason, summary })),
  ...Object.entries(INJECTIONS).map(([reason, summary]) => ({ outcome: 'injected', reason, summary })),
  ...Object.entries(SKIPS).map(([reason, summary]) => ({ outcome: 'left unchanged', reason, summary })),
];

function outcomesSection({ recent: { since, counts }, totals, version }: Status): Html {
  const seen = OUTCOMES.filter(({ reason }) => totals.has(reason));
  // Stable: equal ones stay in the order of the table.
  const sorted = seen.toSorted((one, other) => (counts.get(other.reason) ?? 0) - (counts.get(one.reason) ?? 0));
  const groups = ['refused', 'injected', 'left unchanged'].flatMap((wanted) => sorted.filter(({ outcome }) => outcome === wanted));
  const rows = groups.map(({ outcome, reason, summary }) => {
    const link = html`<a href="${documentUrl(`docs/troubleshooting.md#${reason}`, version)}"><code>${reason}</code></a>`;
    return html`<tr><td>${outcome}</td><th scope="row">${link}</th><td>${summary}</td><td class="count">${counts.get(reason) ?? 0}</td><td class="count">${totals.get(reason) ?? 0}</td></tr>`;
  });
  const heads = [head('Outcome'), head('Reason'), head('Meaning'), countHead('Last hour'), countHead('Since start')];
  const shown = rows.length === 0 ? html`<p>No review has come yet.</p>` : table('Outcomes', heads, rows);
  return html`<h2>Outcomes</h2>
<p class="muted">Reviews of this replica, dry runs among them. The last hour began ${time(since)}.</p>${shown}`;
}

function certificatesSection({ certificateSource, certificates }: Status, now: Date): Html {
  const rows = certificates.slice(0, MAX_CERTIFICATES).map(({ role, issuer, validFrom, validTo, fingerprint }) => {
    const end = validTo > now ? time(validTo) : html`<span class="bad">expired</span> ${time(validTo)}`;
    return html`<tr><th scope="row">${role}</th><td>${time(validFrom)}</td><td>${end}</td><td>${issuer}</td><td><code>${fingerprint}</code></td></tr>`;
  });
  const more = certificates.length - rows.length;
  const heads = [head('Certificate'), head('Valid from'), head('Valid until'), head('Signed by'), head('SHA-256')];
  return html`<h2>Certificates</h2>
<p class="muted">Source: ${certificateSource}.${more > 0 ? ` ${more} more are not shown.` : ''}</p>${table('Certificates', heads, rows)}`;
}

function settingsSection({ settings, version }: Status): Html {
  const rows = settings.map(({ option, value, isDefault }) => {
    const shown = value === '' ? html`empty` : html`<code>${value}</code>`;
    return html`<tr><th scope="row"><code>${option}</code></th><td>${shown}</td><td>${isDefault ? 'yes' : 'no'}</td></tr>`;
  });
  const options = html`<a href="${documentUrl('docs/reference/options.md', version)}">Other options</a>`;
  return html`<h2>Settings</h2>
<p class="muted">${options} are not shown: some may hold secrets, or name files and registries.</p>${table('Settings', [head('Option'), head('Value'), head('Default')], rows)}`;
}
