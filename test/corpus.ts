import { readdirSync, readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { METHOD_ANNOTATION, type Method, SANDBOX_LABEL } from '../src/sideload/contract.ts';
import type { Outcome } from '../src/sideload/outcome.ts';
import type { Pod } from '../src/sideload/pod.ts';

const CORPUS_DIR = new URL('./corpus/', import.meta.url);

/** What a public manifest says of its pods, in the form that test/corpus/README.md describes. */
export interface Manifest {
  /** Where it is from: `owner/name` on GitHub, the commit, the path, and which pod of that file, from 1, where it has several. */
  readonly repository: string;
  readonly commit: string;
  readonly path: string;
  readonly nth?: number;
  /** SPDX identifier of the repository's licence. */
  readonly licence: string;
  /** The kind of the object whose pod it is. */
  readonly kind: string;
  /** What comes of it once it is labelled, with method image-volume and with init-container. */
  readonly expected: Outcome['reason'];
  /** Where method init-container gives another. */
  readonly expectedWithInitContainer?: Outcome['reason'];
  /** The container that goes under the supervisor, where it is not the first. */
  readonly container?: string;
  readonly pod: Pod;
}

/** Reads all manifests, in the order of their files' names. */
export function readCorpus(): Manifest[] {
  const files = readdirSync(CORPUS_DIR).filter((file) => file.endsWith('.yaml'));
  return files.sort().flatMap((file) => {
    const { manifests, ...source } = parse(readFileSync(new URL(file, CORPUS_DIR), 'utf8'));
    return manifests.map((manifest: object) => ({ ...source, ...manifest }));
  });
}

/** Where a manifest is from, in one line. */
export function nameOf({ repository, path, nth }: Manifest): string {
  return `${repository}/${path}${nth === undefined ? '' : ` (${nth})`}`;
}

/** The pod as an author would hand it to the webhook: with the sandbox label, and the method in its annotation. */
export function labelled(pod: Pod, method: Method): Pod {
  const labels = { ...pod.metadata?.labels, [SANDBOX_LABEL]: 'true' };
  const annotations = { ...pod.metadata?.annotations, [METHOD_ANNOTATION]: method };
  return { ...pod, metadata: { ...pod.metadata, labels, annotations } };
}

/**
 * Everything that pods name and that an API server asks for before it takes them.
 *
 * @param namespaces where service accounts are made
 */
export function surroundings(manifests: readonly Pick<Manifest, 'pod'>[], namespaces: readonly string[]): object[] {
  const specs = manifests.map(({ pod }) => pod.spec as Record<string, unknown>);
  const named = (member: string): string[] => specs.flatMap((spec) => (spec[member] as string | undefined) ?? []);
  const accounts = new Set(['default', ...named('serviceAccountName'), ...named('serviceAccount')]);
  const priorities = new Set(named('priorityClassName').filter((name) => !name.startsWith('system-')));
  const runtimes = new Set(named('runtimeClassName'));
  return [
    ...namespaces.flatMap((namespace) =>
      [...accounts].map((name) => ({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name, namespace } })),
    ),
    ...[...priorities].map((name) => ({ apiVersion: 'scheduling.k8s.io/v1', kind: 'PriorityClass', metadata: { name }, value: 1 })),
    ...[...runtimes].map((name) => ({ apiVersion: 'node.k8s.io/v1', kind: 'RuntimeClass', metadata: { name }, handler: 'any' })),
  ];
}
