import { spawn } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findBinaries } from './binaries.ts';
import { freePorts, type Process, start, waitFor } from './process.ts';

export interface KubectlResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A real etcd and kube-apiserver on 127.0.0.1. */
export interface ControlPlane {
  /** Runs kubectl as cluster-admin. Does not throw: what kubectl prints about a refusal is what tests look at. */
  readonly kubectl: (args: readonly string[], input?: string) => Promise<KubectlResult>;
  readonly stop: () => Promise<void>;
}

/** Starts etcd and kube-apiserver with their state in `dir`. */
export async function startControlPlane(dir: string): Promise<ControlPlane> {
  const binaries = findBinaries();
  mkdirSync(dir, { recursive: true });
  const file = (name: string): string => join(dir, name);
  const [client = 0, peer = 0, api = 0] = await freePorts(3);
  const [clientUrl, peerUrl] = [`http://127.0.0.1:${client}`, `http://127.0.0.1:${peer}`];

  const etcd = start(
    'etcd',
    binaries.etcd,
    [
      `--data-dir=${file('etcd')}`,
      `--listen-client-urls=${clientUrl}`,
      `--advertise-client-urls=${clientUrl}`,
      `--listen-peer-urls=${peerUrl}`,
      `--initial-advertise-peer-urls=${peerUrl}`,
      `--initial-cluster=default=${peerUrl}`,
      '--unsafe-no-fsync',
    ],
    file('etcd.log'),
  );
  writeFileSync(
    file('service-account.key'),
    generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ type: 'pkcs8', format: 'pem' }),
  );
  writeFileSync(file('tokens.csv'), 'admin-token,admin,admin,system:masters\n');
  const apiserver = start(
    'kube-apiserver',
    binaries.kubeApiserver,
    [
      `--etcd-servers=${clientUrl}`,
      `--secure-port=${api}`,
      '--bind-address=127.0.0.1',
      `--cert-dir=${file('apiserver-certs')}`,
      '--service-cluster-ip-range=10.0.0.0/24',
      `--service-account-key-file=${file('service-account.key')}`,
      `--service-account-signing-key-file=${file('service-account.key')}`,
      '--service-account-issuer=https://kubernetes.default.svc',
      `--token-auth-file=${file('tokens.csv')}`,
      '--authorization-mode=RBAC',
      '--allow-privileged',
    ],
    file('kube-apiserver.log'),
  );
  const kubeconfig = file('kubeconfig');
  writeFileSync(
    kubeconfig,
    JSON.stringify({
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name: 'test', cluster: { server: `https://127.0.0.1:${api}`, 'insecure-skip-tls-verify': true } }],
      users: [{ name: 'admin', user: { token: 'admin-token' } }],
      contexts: [{ name: 'test', context: { cluster: 'test', user: 'admin' } }],
      'current-context': 'test',
    }),
  );
  const kubectl = (args: readonly string[], input = ''): Promise<KubectlResult> => runKubectl(binaries.kubectl, kubeconfig, args, input);
  const processes: Process[] = [etcd, apiserver];
  // kube-apiserver hangs on its way out when etcd is gone.
  const stop = async (): Promise<void> => {
    await apiserver.stop();
    await etcd.stop();
  };
  try {
    await waitFor('a ready kube-apiserver', 60, async () => (await kubectl(['get', '--raw=/readyz'])).code === 0, processes);
  } catch (error) {
    await stop();
    throw error;
  }
  return { kubectl, stop };
}

function runKubectl(command: string, kubeconfig: string, args: readonly string[], input: string): Promise<KubectlResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { env: { ...process.env, KUBECONFIG: kubeconfig } });
    let [stdout, stderr] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      stdout += chunk;
    });
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
      stderr += chunk;
    });
    child.on('error', reject).on('close', (code) => resolve({ code: code ?? -1, stdout, stderr }));
    child.stdin.on('error', () => undefined).end(input);
  });
}
