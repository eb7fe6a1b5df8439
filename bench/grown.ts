/** Reviews of pods that have grown, from 2 KB to what etcd takes at most. */

import type { Container } from '../src/sideload/pod.ts';
import { review } from '../test/reviews.ts';
import { pod } from './reviews.ts';

/** `pod` has nothing beside its agent, and the fewest variables, for each index that is a multiple of this. */
const SMALLEST = 12;
/** A line as configuration and prompts have it, with what JSON has to escape. */
const LINE = 'When the answer says "done", write the report to /sandbox/out and stop.\n';

/** How a pod grows by a number of steps. Each gives a pod whose size is linear in them. */
const WAYS = {
  /** Each step brings a volume, a sidecar that mounts it, and eight variables for both the sidecar and the agent. */
  more: (index: number, steps: number) => {
    const grown = pod(index);
    const [agent] = grown.spec.containers as Container[];
    const numbers = Array.from({ length: steps }, (_, step) => String(step).padStart(4, '0'));
    const variables = (number: string) =>
      Array.from({ length: 8 }, (_, i) => ({ name: `COMPONENT_${number}_${i}`, value: `https://component-${number}.example:${8000 + i}` }));
    const mounts = numbers.map((number) => ({ name: `data-${number}`, mountPath: `/data/${number}` }));
    const volumes = numbers.map((number) => ({ name: `data-${number}`, configMap: { name: `data-${number}`, defaultMode: 420 } }));
    const sidecars = numbers.map((number, step) => ({
      name: `component-${number}`,
      image: `registry.example/component-${number}:1.0`,
      env: variables(number),
      resources: { requests: { cpu: '50m', memory: '64Mi' }, limits: { memory: '128Mi' } },
      volumeMounts: mounts.slice(step, step + 1),
      terminationMessagePath: '/dev/termination-log',
      terminationMessagePolicy: 'File',
      imagePullPolicy: 'IfNotPresent',
    }));
    const grownAgent = {
      ...agent,
      env: [...(agent?.env ?? []), ...numbers.flatMap(variables)],
      volumeMounts: [...(agent?.volumeMounts ?? []), ...mounts],
    };
    return { ...grown, spec: { ...grown.spec, volumes: [...grown.spec.volumes, ...volumes], containers: [grownAgent, ...sidecars] } };
  },
  /** Each step is a line more in each of four variables of the agent: configuration, prompts. */
  longer: (index: number, steps: number) => {
    const grown = pod(index);
    const [agent] = grown.spec.containers as Container[];
    const texts = Array.from({ length: 4 }, (_, i) => ({ name: `PROMPT_${i}`, value: LINE.repeat(steps) }));
    return { ...grown, spec: { ...grown.spec, containers: [{ ...agent, env: [...(agent?.env ?? []), ...texts] }] } };
  },
};
export type Way = keyof typeof WAYS;

/**
 * Reviews of about a size, as JSON.
 *
 * @param bytes of each; a pod that has not grown has 2.4 KB
 */
export function grownReviews(way: Way, bytes: number, count: number): string[] {
  const make = (index: number, steps: number): string =>
    JSON.stringify(review(WAYS[way](index * SMALLEST, steps), { uid: crypto.randomUUID() }));
  const [none, one] = [0, 1].map((steps) => make(0, steps).length) as [number, number];
  const steps = Math.max(0, Math.round((bytes - none) / (one - none)));
  return Array.from({ length: count }, (_, index) => make(index, steps));
}
