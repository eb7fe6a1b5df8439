/**
 * `npm run docs:terminal`: records the demo, and `check` and `explain` on a real API server, and draws the recordings into
 * docs/images (Linux; root, as for every real API server). With `demo`, it records the demo alone, which needs no root; with
 * `again`, it draws the recordings that are there.
 */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openControlPlane } from '../cluster/control-plane.ts';
import { freePorts } from '../cluster/process.ts';
import { startWebhook, writeOverlay } from '../webhook.ts';
import { paced } from './cast.ts';
import { drawAgain, keep, PICTURES, type PictureName } from './pictures.ts';
import { record } from './record.ts';

const MAIN = fileURLToPath(new URL('../../../src/main.ts', import.meta.url));
const NODE_INFO = { kubeletVersion: 'v1.36.3', containerRuntimeVersion: 'containerd://2.2.9', operatingSystem: 'linux' };

/** What the demo begins with for each pod, and at its end. */
const isHeading = (line: string): boolean => /^\S+: (injected|refused|left unchanged) \(|^All outcomes:|^What to do next/.test(line);

async function recordDemo(): Promise<void> {
  // Whatever the npm that runs this script was told.
  const quiet = { npm_config_update_notifier: 'false', npm_config_progress: 'false', npm_config_loglevel: 'notice' };
  keep('demo', paced(await record('npm run demo', 'npm run demo', quiet, 100, 0), isHeading));
}

/** A cluster with one node that says what it is, no kubelet, and an installation whose pods nobody runs: its webhook is a process. */
async function recordCommands(dir: string): Promise<void> {
  const cluster = await openControlPlane(join(dir, 'cluster'));
  const [port = 0, adminPort = 0] = await freePorts(2);
  const kubectl = (...args: string[]): Promise<string> => cluster.run(args);
  const command = async (name: PictureName, args: string): Promise<void> => {
    const run = `${process.execPath} ${MAIN} ${args}`;
    keep(name, await record(`openshell-sideload ${args}`, run, { KUBECONFIG: cluster.kubeconfig }, 120, 1));
  };
  try {
    await cluster.run(['create', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'Node', metadata: { name: 'node' } }));
    await kubectl(
      'patch',
      'node',
      'node',
      '--subresource=status',
      '--type=merge',
      '-p',
      JSON.stringify({ status: { nodeInfo: NODE_INFO } }),
    );
    await kubectl('create', 'namespace', 'agents');
    await kubectl('create', 'serviceaccount', 'default', '-n', 'agents');
    await kubectl('apply', '-f', 'examples/agent.yaml');
    await kubectl('label', 'namespace', 'agents', 'openshell.ai/sideload=enabled');
    const webhook = await startWebhook(dir, { port, adminPort });
    await kubectl('apply', '-k', writeOverlay(dir, port));
    await command('explain-file', 'explain -f examples/unreachable.yaml');
    await command('explain', 'explain pod/agent -n agents');
    // As where no pod of the Deployment runs.
    await webhook.stop();
    await command('check', 'check');
  } finally {
    await cluster.stop();
  }
}

const [what = 'all'] = process.argv.slice(2);
if (!['all', 'demo', 'again'].includes(what)) throw new Error(`${JSON.stringify(what)}: expected all, demo or again`);
if (what !== 'again') await recordDemo();
if (what === 'all') {
  const dir = mkdtempSync(join(tmpdir(), 'sideload-terminal-'));
  try {
    await recordCommands(dir);
  } finally {
    rmSync(dir, { recursive: true });
  }
}
for (const name of Object.keys(PICTURES) as PictureName[]) await drawAgain(name);
