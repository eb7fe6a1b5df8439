import { readFileSync } from 'node:fs';
import { request } from 'node:https';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { V1MutatingWebhookConfiguration } from '@kubernetes/client-node';
import { parse, stringify } from 'yaml';
import { CA_FILE, ensureLocalCertificates } from '../../src/tls/local.ts';
import { namesOfService } from '../../src/tls/names.ts';
import type { ControlPlane } from './cluster/control-plane.ts';
import { type Process, start, waitFor } from './cluster/process.ts';
import { writeKustomization } from './kustomization.ts';

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const BASE = fileURLToPath(new URL('../../manifests/base', import.meta.url));

/** The images of the tests' pods are in no registry; test/e2e/registry.test.ts has its own, and options win over these variables. */
const NO_REGISTRY = { OPENSHELL_MISSING_COMMAND: 'shell', OPENSHELL_ENTRYPOINT: 'off' };

/**
 * Starts the webhook as a process of its own, with its certificates in `dir`/tls.
 *
 * @param main the program: the sources, or what is built of them
 */
export async function launchWebhook(
  dir: string,
  ports: { port: number; adminPort: number },
  flags: readonly string[] = [],
  env: NodeJS.ProcessEnv = process.env,
  main = MAIN,
): Promise<Process> {
  const tls = join(dir, 'tls');
  await ensureLocalCertificates(tls, namesOfService('openshell-sideload', 'openshell-system'));
  const own = [`--tls-cert-dir=${tls}`, `--port=${ports.port}`, `--admin-port=${ports.adminPort}`, '--bind-address=127.0.0.1'];
  const variables = { ...NO_REGISTRY, ...env };
  return start('openshell-sideload', process.execPath, [main, ...own, '--shutdown-delay=0', ...flags], join(dir, 'webhook.log'), variables);
}

/** The lines of a log file as far as they are complete: a program may be writing the next one. */
export function linesOf(logFile: string): Record<string, unknown>[] {
  const complete = readFileSync(logFile, 'utf8').split('\n').slice(0, -1);
  return complete.map((line) => JSON.parse(line));
}

/**
 * All lines of the log of a webhook that was launched in `dir`. They are written a little later, in order: it is asked for one
 * more, which is left out here, and what came before is there when that one is.
 */
export async function readLog(dir: string): Promise<Record<string, unknown>[]> {
  const lines = (): Record<string, unknown>[] => linesOf(join(dir, 'webhook.log'));
  const isMark = ({ msg }: Record<string, unknown>): boolean => msg === 'the body is empty, not an AdmissionReview';
  const marks = (): number => lines().filter(isMark).length;
  const before = marks();
  const port = lines().findLast(({ msg }) => msg === 'serving')?.port;
  if (await sendNothing(Number(port))) await waitFor('the log to be written', () => marks() > before);
  return lines().filter((line) => !isMark(line));
}

/** The lines about reviews. Others, such as those about a changed cluster, come whenever they come. */
export const readAdmissions = async (dir: string): Promise<Record<string, unknown>[]> =>
  (await readLog(dir)).filter(({ outcome }) => outcome !== undefined);

/** Sends an empty body to the webhook. Returns false when nobody listens. */
function sendNothing(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const options = { port, path: '/mutate', method: 'POST', headers: { 'content-type': 'application/json' }, rejectUnauthorized: false };
    const call = request(options, (answer) => answer.resume().on('end', () => resolve(true)));
    call.on('error', () => resolve(false)).end();
  });
}

/** Whether a webhook with this admin port is ready. */
export async function isReady(adminPort: number): Promise<boolean> {
  return fetch(`http://127.0.0.1:${adminPort}/readyz`).then(
    ({ ok }) => ok,
    () => false,
  );
}

/** Starts the webhook and waits until it is ready. */
export async function startWebhook(...how: Parameters<typeof launchWebhook>): Promise<Process> {
  const webhook = await launchWebhook(...how);
  const [, { adminPort }] = how;
  try {
    await waitFor('a ready webhook', () => isReady(adminPort), [webhook]);
    return webhook;
  } catch (error) {
    await webhook.stop();
    throw error;
  }
}

/** Access to the cluster as a service account of the webhook's namespace, in the text of a kubeconfig. */
export async function kubeconfigOf({ run }: ControlPlane, account = 'openshell-sideload'): Promise<string> {
  const config = JSON.parse(await run(['config', 'view', '--raw', '-o', 'json']));
  config.users[0].user = { token: (await run(['create', 'token', account, '-n', 'openshell-system'])).trim() };
  return JSON.stringify(config);
}

/** JSON Patch operations for the entries of a webhook configuration: the API server then calls this machine instead of a Service. */
function callHere(dir: string, port: number, { webhooks = [] }: V1MutatingWebhookConfiguration) {
  const caBundle = readFileSync(join(dir, 'tls', CA_FILE)).toString('base64');
  return webhooks.map(({ clientConfig }, entry) => ({
    op: 'replace',
    path: `/webhooks/${entry}/clientConfig`,
    value: { url: `https://127.0.0.1:${port}${clientConfig.service?.path}`, caBundle },
  }));
}

/**
 * Lets the API server call this machine for a webhook configuration that is there: Services lead nowhere without a node.
 *
 * @param dir where the webhook's certificate is, in `tls/`
 */
export async function registerHere({ run }: ControlPlane, name: string, dir: string, port: number): Promise<void> {
  const configuration = ['mutatingwebhookconfiguration', name];
  const operations = callHere(dir, port, JSON.parse(await run(['get', ...configuration, '-o', 'json'])));
  await run(['patch', ...configuration, '--type=json', '-p', JSON.stringify(operations)]);
}

/** Writes a kustomize overlay of manifests/base in which the API server calls a URL of this machine instead of the Service. */
export function writeOverlay(dir: string, port: number): string {
  const patch = callHere(dir, port, parse(readFileSync(join(BASE, 'webhook.yaml'), 'utf8')));
  const patches = [{ target: { kind: 'MutatingWebhookConfiguration' }, patch: stringify(patch) }];
  return writeKustomization(join(dir, 'overlay'), 'base', [], { patches });
}
