import { spawn } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { findApiserver, findBinaries, type Release } from './binaries.ts';
import { freePorts, type Process, start, waitFor } from './process.ts';
import { claimReady } from './ready.ts';

export interface KubectlResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A kube-apiserver that differs from the newest with its defaults. */
export interface Apiserver {
  readonly release: Release;
  readonly flags?: readonly string[];
}

/** A real etcd and kube-apiserver. */
export interface ControlPlane {
  /** Runs kubectl as cluster-admin. Does not throw: what kubectl prints about a refusal is what tests look at. */
  readonly kubectl: (args: readonly string[], input?: string) => Promise<KubectlResult>;
  /** Runs kubectl as cluster-admin and returns what it prints. Throws where it fails. */
  readonly run: (args: readonly string[], input?: string) => Promise<string>;
  /** Where kube-apiserver listens. */
  readonly address: string;
  readonly port: number;
  /** The file with cluster-admin's access. */
  readonly kubeconfig: string;
  /** The file with the key that signs the tokens of service accounts. */
  readonly serviceAccountKey: string;
  /** The file with the certificate of kube-apiserver and its CA; it covers the ClusterIP of the Service `kubernetes`. */
  readonly servingCertificate: string;
  /** Ends it as a crash would. */
  readonly stopApiserver: () => Promise<void>;
  /** Why it ended by itself, as Go's runtime says it; undefined where it runs or said nothing. */
  readonly apiserverCrash: () => string | undefined;
  /** Starts it again, or another one, at the same port and with the same state, and waits until it is ready. */
  readonly startApiserver: (other?: Apiserver) => Promise<void>;
  readonly stop: () => Promise<void>;
}

/** A proxy would answer for webhooks whose Service leads nowhere. */
const WITHOUT_PROXY = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/_proxy$/i.test(name)));

/** The first address of --service-cluster-ip-range, which kube-apiserver takes for the Service `kubernetes`. */
export const KUBERNETES_CLUSTER_IP = '10.0.0.1';

/** Where the files of a control plane are, below its directory. */
const filesOf = (dir: string) => ({
  kubeconfig: join(dir, 'kubeconfig'),
  serviceAccountKey: join(dir, 'service-account.key'),
  servingCertificate: join(dir, 'apiserver-certs', 'apiserver.crt'),
});

/** kubectl of a control plane that runs already. */
function clientOf(kubeconfig: string): Pick<ControlPlane, 'kubectl' | 'run'> {
  const { kubectl: program } = findBinaries();
  const kubectl = (args: readonly string[], input = ''): Promise<KubectlResult> => runKubectl(program, kubeconfig, args, input);
  return {
    kubectl,
    run: async (args, input) => {
      const { code, stdout, stderr } = await kubectl(args, input);
      if (code !== 0) throw new Error(`kubectl ${args.join(' ')}: ${stderr}`);
      return stdout;
    },
  };
}

/**
 * A fresh control plane with its defaults: the one that `npm run e2e:up` keeps ready, else one that is started in `dir`.
 * Its API server cannot be restarted: what needs that starts its own.
 */
export async function openControlPlane(dir: string): Promise<ControlPlane> {
  const ready = await claimReady();
  if (ready === undefined) return startControlPlane(dir);
  const refuse = (): Promise<void> =>
    Promise.reject(new Error('the API server of npm run e2e:up cannot be restarted: use startControlPlane'));
  const files = filesOf(ready.dir);
  return {
    ...clientOf(files.kubeconfig),
    ...files,
    ...ready,
    stopApiserver: refuse,
    apiserverCrash: () => undefined,
    startApiserver: refuse,
    stop: async () => {},
  };
}

/**
 * Starts etcd and kube-apiserver with their state in `dir`.
 *
 * @param address where kube-apiserver listens and is advertised: one that pods reach, for a node
 */
export async function startControlPlane(dir: string, address = '127.0.0.1', first: Apiserver = { release: '1.36' }): Promise<ControlPlane> {
  const binaries = findBinaries();
  mkdirSync(dir, { recursive: true });
  const file = (name: string): string => join(dir, name);
  const [client = 0, peer = 0, port = 0] = await freePorts(3);
  const [clientUrl, peerUrl] = [`http://127.0.0.1:${client}`, `http://127.0.0.1:${peer}`];
  const { serviceAccountKey, kubeconfig, servingCertificate } = filesOf(dir);

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
  writeFileSync(serviceAccountKey, generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ type: 'pkcs8', format: 'pem' }));
  writeFileSync(file('tokens.csv'), 'admin-token,admin,admin,system:masters\n');
  writeFileSync(
    kubeconfig,
    JSON.stringify({
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name: 'test', cluster: { server: `https://${address}:${port}`, 'insecure-skip-tls-verify': true } }],
      users: [{ name: 'admin', user: { token: 'admin-token' } }],
      contexts: [{ name: 'test', context: { cluster: 'test', user: 'admin' } }],
      'current-context': 'test',
    }),
  );
  const forPods = [
    `--advertise-address=${address}`,
    // The Service of a webhook is resolved to the addresses of its pods: no kube-proxy is needed for it.
    '--enable-aggregator-routing=true',
    '--kubelet-preferred-address-types=InternalIP',
  ];
  const { kubectl, run } = clientOf(kubeconfig);
  let apiserver: Process | undefined;
  let starts = 0;
  const logFile = (): string => file(starts === 1 ? 'kube-apiserver.log' : `kube-apiserver-${starts}.log`);
  const apiserverCrash = (): string | undefined =>
    apiserver?.ended() ? /^(?:fatal error|panic): .*/m.exec(readFileSync(logFile(), 'utf8'))?.[0] : undefined;
  const stopApiserver = async (): Promise<void> => {
    // On SIGTERM it waits for those who watch, up to a minute.
    await apiserver?.stop('SIGKILL');
  };
  const startApiserver = async ({ release, flags = [] }: Apiserver = first): Promise<void> => {
    starts++;
    apiserver = start(
      'kube-apiserver',
      findApiserver(release),
      [
        `--etcd-servers=${clientUrl}`,
        `--secure-port=${port}`,
        `--bind-address=${address}`,
        `--cert-dir=${dirname(servingCertificate)}`,
        `--service-cluster-ip-range=10.0.0.0/24`,
        `--service-account-key-file=${serviceAccountKey}`,
        `--service-account-signing-key-file=${serviceAccountKey}`,
        '--service-account-issuer=https://kubernetes.default.svc',
        `--token-auth-file=${file('tokens.csv')}`,
        '--authorization-mode=RBAC',
        '--allow-privileged',
        ...(address === '127.0.0.1' ? [] : forPods),
        ...flags,
      ],
      logFile(),
      WITHOUT_PROXY,
    );
    await waitFor('a ready kube-apiserver', async () => (await kubectl(['get', '--raw=/readyz'])).code === 0, [etcd, apiserver]);
  };
  const stop = async (): Promise<void> => {
    await stopApiserver();
    await etcd.stop();
  };
  try {
    await startApiserver();
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    kubectl,
    run,
    address,
    port,
    kubeconfig,
    serviceAccountKey,
    servingCertificate,
    stopApiserver,
    apiserverCrash,
    startApiserver,
    stop,
  };
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
