import { execFile } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseAllDocuments } from 'yaml';
import { findHelm, type HelmVersion } from './cluster/helm.ts';

/** The chart's folder. */
export const CHART = fileURLToPath(new URL('../../charts/openshell-sideload', import.meta.url));
/** With these the chart has the names of manifests/base. */
export const RELEASE = 'openshell-sideload';
export const NAMESPACE = 'openshell-system';

export interface KubernetesObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    name: string;
    generation?: number;
    namespace?: string;
    labels?: Record<string, string>;
    annotations?: Record<string, string>;
  };
  // biome-ignore lint/suspicious/noExplicitAny: an object of any kind
  readonly [member: string]: any;
}

interface HelmResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** What Helm writes, and the values of each call. */
const dir = mkdtempSync(join(tmpdir(), 'sideload-helm-'));
let calls = 0;

/**
 * Runs Helm; does not throw.
 *
 * @param values go into a file for --values, where given
 * @param kubeconfig the file with access to the cluster, for what needs one
 */
export function helm(major: HelmVersion, args: readonly string[], values?: object, kubeconfig = ''): Promise<HelmResult> {
  const file = join(dir, `values-${++calls}.yaml`);
  if (values) writeFileSync(file, JSON.stringify(values));
  const env = { ...process.env, KUBECONFIG: kubeconfig, HELM_CACHE_HOME: dir, HELM_CONFIG_HOME: dir, HELM_DATA_HOME: dir };
  return new Promise((resolve) => {
    execFile(findHelm(major), values ? [...args, '--values', file] : args, { env, maxBuffer: 1 << 26 }, (error, stdout, stderr) =>
      resolve({ code: error ? Number(error.code) : 0, stdout, stderr }),
    );
  });
}

/** As `helm`, and returns what it prints. Throws where it fails. */
export async function runHelm(...[major, args, ...rest]: Parameters<typeof helm>): Promise<string> {
  const { code, stdout, stderr } = await helm(major, args, ...rest);
  if (code !== 0) throw new Error(`helm ${args.join(' ')}: ${stderr}`);
  return stdout;
}

/** The objects of a stream of documents, as Kubernetes reads them: YAML 1.1, in which 0440 is octal. */
export function objectsOf(text: string): KubernetesObject[] {
  return parseAllDocuments(text, { version: '1.1' })
    .map((document) => document.toJS())
    .filter(Boolean);
}

/** The first object of a kind. Throws where there is none. */
export function find(objects: readonly KubernetesObject[], kind: string): KubernetesObject {
  const found = objects.find((object) => object.kind === kind);
  if (!found) throw new Error(`no ${kind}`);
  return found;
}

/** Whether Helm makes the object for a moment of its own, as for `helm test`, and not with the release. */
export function isHook({ metadata }: KubernetesObject): boolean {
  return metadata.annotations?.['helm.sh/hook'] !== undefined;
}
