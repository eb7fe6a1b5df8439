/** Other injectors, as they are met in clusters. */

interface Mutable {
  name: string;
  image?: string;
  command?: string[];
  args?: string[];
  restartPolicy?: string;
  env?: { name: string; value: string }[];
  readinessProbe?: object;
}
export type MutableSpec = { containers: Mutable[]; initContainers?: Mutable[] };

export const PROXY = { name: 'proxy', image: 'registry.example/proxy:1' };
export const WRAPPER = '/wrapper/run';
const READY = { httpGet: { path: '/app-health/agent/readyz', port: 15020, scheme: 'HTTP' } };
/** As one that hands secrets to a program by starting it. */
const wrap = (container: Mutable): void => {
  container.args = [...(container.command ?? []), ...(container.args ?? [])];
  container.command = [WRAPPER];
};
const everywhere = ({ containers, initContainers = [] }: MutableSpec): Mutable[] => [...initContainers, ...containers];
const setEverywhere = (name: string, value: string) => (spec: MutableSpec) => {
  for (const container of everywhere(spec)) container.env = [...(container.env ?? []), { name, value }];
};
/** What other injectors do to a pod. */
export const INJECTORS: Record<string, (spec: MutableSpec) => void> = {
  // As a service mesh that holds the application until its proxy has started.
  'proxy-first': ({ containers }) => containers.unshift({ ...PROXY, args: ['serve'] }),
  'proxy-with-command-first': ({ containers }) => containers.unshift({ ...PROXY, command: ['proxy', 'serve'] }),
  'native-sidecar': (spec) => {
    spec.initContainers = [{ ...PROXY, args: ['serve'], restartPolicy: 'Always' }, ...(spec.initContainers ?? [])];
  },
  // As a service mesh whose proxy asks the application.
  probes: ({ containers }) => {
    for (const container of containers) if (container.readinessProbe) container.readinessProbe = READY;
  },
  wrapper: ({ containers }) => containers.forEach(wrap),
  'wrapper-everywhere': (spec) => everywhere(spec).forEach(wrap),
  'variable-everywhere': setEverywhere('TRACE_ENDPOINT', 'http://trace:4317'),
  // As a tracer that has itself loaded into every program.
  'preload-everywhere': setEverywhere('LD_PRELOAD', '/trace/preload.so'),
};
