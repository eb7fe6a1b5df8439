/** `openshell-sideload explain`: would this pod be injected, and why. */

import { UsageError } from '../../config/config.ts';
import { type Pod, podShape } from '../../sideload/pod.ts';
import { settingsIn, UNKNOWN_CLUSTER } from '../../sideload/settings.ts';
import { misfit } from '../../sideload/shape.ts';
import { type Command, type CommandLine, EXIT } from '../command.ts';
import { paint } from '../diff.ts';
import { LOOKUP, openLookup } from '../image-lookup.ts';
import { FILENAME } from '../input-files.ts';
import { readManifests } from '../manifests.ts';
import { findPods } from '../pod-templates.ts';
import { explainPod, type Mark, type Step } from './steps.ts';

const MARKS: Readonly<Record<Mark, string>> = {
  yes: paint('green', '✓'),
  no: paint('red', '✗'),
  unknown: paint('yellow', '?'),
  note: paint('yellow', '!'),
  result: paint('bold', '→'),
};

function format(title: string, steps: readonly Step[]): string {
  const width = Math.max(...steps.map(({ name }) => name.length));
  const lines = steps.map(({ mark, name, detail }) => `  ${MARKS[mark]} ${name.padEnd(width)}  ${detail}\n`);
  return `${paint('bold', title)}\n${lines.join('')}`;
}

/** What is printed, and the exit code. */
interface Explained {
  readonly text: string;
  readonly code: number;
}

function shown(title: string, steps: readonly Step[]): Explained {
  return { text: format(title, steps), code: steps.some(({ fails }) => fails) ? EXIT.failed : EXIT.done };
}

/** Pods of manifests: no cluster is asked. */
async function explainManifests({ flags, config }: CommandLine): Promise<Explained> {
  const lookUp = await openLookup(config, flags.has('lookup'));
  const found = readManifests(flags.get('filename') ?? []).flatMap(({ source, value }) =>
    findPods(value).map(({ pointer, pod }) => ({ title: `${source}${pointer}`, path: pointer.slice(1).replaceAll('/', '.'), pod })),
  );
  if (found.length === 0) throw new UsageError(['the manifests have no Pod, and no kind with a pod template']);
  const explained: Explained[] = [];
  for (const { title, path, pod } of found) {
    const wrong = misfit(podShape, pod, path);
    if (wrong !== undefined) throw new UsageError([`${title} is not valid: ${wrong}`]);
    const image = await lookUp(pod as Pod, config.sideload, UNKNOWN_CLUSTER);
    explained.push(shown(title, explainPod(pod as Pod, undefined, config, UNKNOWN_CLUSTER, image)));
  }
  return { text: explained.map(({ text }) => text).join('\n'), code: explained.find(({ code }) => code !== EXIT.done)?.code ?? EXIT.done };
}

async function run(line: CommandLine): Promise<number> {
  const { flags, positionals } = line;
  const [kind, name, ...rest] = positionals;
  const problems = [
    ...(flags.has('filename') === positionals.length > 0 ? ['nothing to explain: give -f FILE, or pod NAME -n NAMESPACE'] : []),
    ...(kind !== undefined && !/^(pods?|po)$/.test(kind) ? [`${JSON.stringify(kind)}: expected pod, then its name`] : []),
    ...(kind !== undefined && (name === undefined || rest.length > 0)
      ? [`expected one name, found ${JSON.stringify(positionals.slice(1))}`]
      : []),
  ];
  if (problems.length > 0) throw new UsageError(problems);
  if (name === undefined) {
    const { text, code } = await explainManifests(line);
    process.stdout.write(text);
    return code;
  }
  const { readSurroundings } = await import('./surroundings.ts');
  const { pod, surroundings, config, facts } = await readSurroundings(name, flags.get('pod-namespace')?.[0], line.config, {
    kubeconfig: flags.get('kubeconfig')?.[0],
    context: flags.get('context')?.[0],
  });
  // The files that the Deployment names are in its pods.
  const images = { ...config.images, map: '', authorities: '', credentials: '' };
  const settings = settingsIn(surroundings.namespace.labels, config.sideload);
  const image = await (await openLookup({ ...config, images }, flags.has('lookup')))(pod, settings, facts);
  const { text, code } = shown(`pod ${surroundings.namespace.name}/${name}`, explainPod(pod, surroundings, config, facts, image));
  process.stdout.write(text);
  return code;
}

export const explain: Command = {
  usage: 'explain (-f FILE | pod NAME [-n NAMESPACE]) [--lookup] [SETTINGS]',
  description:
    'Explains whether the webhook would inject a pod, and why: one line for each step. It exits with 1 if the pod is refused, or runs without its supervisor. For a manifest it needs no cluster. For a pod in the cluster it reads the namespace, the webhook configuration and the settings of the Deployment.',
  options: {
    filename: FILENAME,
    'pod-namespace': {
      short: 'n',
      value: 'NAMESPACE',
      description: "The pod's namespace. Default: the one of the kubeconfig's context.",
    },
    kubeconfig: { value: 'FILE', description: 'Path of the kubeconfig. Default: the files in KUBECONFIG.' },
    context: { value: 'NAME', description: 'The context of the kubeconfig. Default: the current one.' },
    lookup: LOOKUP,
  },
  takesWords: true,
  run,
};
