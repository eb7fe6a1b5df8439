/** Where an object holds pods: itself, or templates from which a controller makes them. */

/** A pod, or the template of pods, inside an object. */
export interface FoundPod {
  /** JSON pointer (RFC 6901) from the object to the pod; empty where the object is the pod. */
  readonly pointer: string;
  readonly pod: unknown;
}

/** Group and kind -> pointer. A group stands for all of its versions. */
const TEMPLATES: Readonly<Record<string, string>> = {
  '/Pod': '',
  '/PodTemplate': '/template',
  '/ReplicationController': '/spec/template',
  'apps/Deployment': '/spec/template',
  'apps/ReplicaSet': '/spec/template',
  'apps/StatefulSet': '/spec/template',
  'apps/DaemonSet': '/spec/template',
  'batch/Job': '/spec/template',
  'batch/CronJob': '/spec/jobTemplate/spec/template',
  // kubernetes-sigs/agent-sandbox, api/v1beta1/sandbox_types.go and extensions/api/v1beta1/sandboxtemplate_types.go.
  'agents.x-k8s.io/Sandbox': '/spec/podTemplate',
  'extensions.agents.x-k8s.io/SandboxTemplate': '/spec/podTemplate',
};

interface TypedObject {
  readonly apiVersion?: unknown;
  readonly kind?: unknown;
  readonly items?: unknown;
}

/** Finds the pods of an object; those of the items of a List, too. An object of another kind has none. */
export function findPods(object: unknown): FoundPod[] {
  if (typeof object !== 'object' || object === null) return [];
  const { apiVersion, kind, items } = object as TypedObject;
  if (typeof apiVersion !== 'string' || typeof kind !== 'string') return [];
  if (kind === 'List' && Array.isArray(items)) {
    return items.flatMap((item, index) => findPods(item).map(({ pointer, pod }) => ({ pointer: `/items/${index}${pointer}`, pod })));
  }
  const group = apiVersion.includes('/') ? apiVersion.slice(0, apiVersion.indexOf('/')) : '';
  const key = `${group}/${kind}`;
  const pointer = Object.hasOwn(TEMPLATES, key) ? TEMPLATES[key] : undefined;
  if (pointer === undefined) return [];
  const members = pointer.split('/').slice(1);
  const pod = members.reduce<unknown>((value, member) => (value as Record<string, unknown> | null | undefined)?.[member], object);
  return pod === undefined || pod === null ? [] : [{ pointer, pod }];
}
