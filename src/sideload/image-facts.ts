/**
 * What the image of the sandbox container brings: its program, its working directory and its variables. A container runtime takes
 * them where the pod has none; under the supervisor nobody does, so the webhook writes them into the pod.
 * Source: opencontainers/image-spec v1.1, config.md; k8s.io/api/core/v1, types.go, Container (command replaces ENTRYPOINT and CMD,
 * args replaces CMD).
 */

import { ENV } from './contract.ts';
import { hasVariable, PINNED_VARIABLES } from './environment.ts';
import type { Existing } from './existing.ts';
import type { Identity } from './identity.ts';
import { isPinned } from './image.ts';
import { enumerate, type ImageNeed, printable, quote, type Refuse, refuse, type Warning } from './outcome.ts';
import type { Container, PodSpec, Variable } from './pod.ts';
import { isLoaderVariable } from './root-programs.ts';
import type { SideloadSettings } from './settings.ts';

/** What an image runs on one platform, and with what. */
export interface ImageConfig {
  readonly platform: { readonly os: string; readonly architecture: string; readonly variant: string | undefined };
  readonly entrypoint: readonly string[];
  readonly cmd: readonly string[];
  /** `NAME=value`. */
  readonly env: readonly string[];
  /** Empty where the image names none. */
  readonly workingDir: string;
  readonly user: string;
}

/** What was found out about an image. */
export interface ImageFacts {
  /** Who says what it runs: the image, through its registry, or the operator's map. */
  readonly from: 'registry' | 'map';
  /** Of what the registry holds by that name; undefined where none was asked. */
  readonly digest: string | undefined;
  /** One for each platform of Linux; at least one. */
  readonly configs: readonly ImageConfig[];
}

/** Why nothing was found out. */
export interface UnknownImage {
  readonly from: 'nowhere';
  readonly reason: 'entrypoint-unknown' | 'entrypoint-unavailable';
  /** What was tried, and what came of it. */
  readonly problem: string;
}

/**
 * Whether the sandbox container's image has to be looked up. A container that has a command, OPENSHELL_MAIN_PROCESS_SPEC, or what
 * this webhook wrote before another took the command away, has its program.
 */
export function imageNeed(container: Container, existing: Existing, settings: SideloadSettings): ImageNeed | undefined {
  const forProgram =
    settings.missingCommand === 'lookup' && lacksProgram(container, existing) && !hasVariable(ENV.mainProcessSpec, container, settings);
  const inspects = settings.inspectImages === 'always' || settings.policy.enforced;
  const forVariables = inspects && settings.entrypoint === 'registry';
  return forProgram || forVariables ? { image: container.image ?? '', forProgram, forVariables } : undefined;
}

/** Whether no command in the container says what to run. Args alone are ours where another webhook took the command away. */
export function lacksProgram(container: Container, existing: Existing): boolean {
  const isOurs = existing.mount !== undefined && container.args?.[0] === '--';
  return !existing.launched && !container.command?.length && !isOurs;
}

/** What the image of one pod brings, platforms that the pod cannot run on left out. */
export interface BroughtImage {
  readonly facts: ImageFacts;
  readonly platforms: readonly ImageConfig[];
  /** The one whose words and directory count: all platforms have the same. */
  readonly config: ImageConfig;
  /** What counts as the pod's own variables, unless the pod has one of that name. */
  readonly variables: readonly Variable[];
}

/** The node label by which a pod chooses its architecture (k8s.io/api/core/v1, well_known_labels.go). */
const ARCH_LABEL = 'kubernetes.io/arch';

/**
 * Chooses what counts of an image.
 *
 * @returns a refusal where nothing is known, where platforms differ, or where the image has no program
 */
export function broughtBy(answer: ImageFacts | UnknownImage, need: ImageNeed, spec: PodSpec, container: Container): BroughtImage | Refuse {
  const where = `container ${quote(container.name ?? '')}`;
  if (answer.from === 'nowhere') {
    const problem = printable(answer.problem).slice(0, LONGEST_PROBLEM);
    return refuse(
      answer.reason,
      need.forProgram
        ? `${where} has no command: ${problem}; or set command`
        : `the image of ${where}, whose variables are checked here, cannot be read: ${problem}`,
    );
  }
  const wanted = spec.nodeSelector?.[ARCH_LABEL];
  const fitting = answer.configs.filter(({ platform }) => wanted !== undefined && ['', wanted].includes(platform.architecture));
  const platforms = fitting.length > 0 ? fitting : answer.configs;
  const [config] = platforms;
  const words = (each: ImageConfig): readonly string[] => [...each.entrypoint, ...(container.args?.length ? [] : each.cmd)];
  const seen = new Set(platforms.map((each) => JSON.stringify([words(each), each.workingDir, counted(each)])));
  if (config === undefined || (need.forProgram && words(config).length === 0 && !container.args?.length && !namesSpec(config)))
    return refuse(
      'entrypoint-unknown',
      `${where} has no command, and image ${quote(need.image)} has neither ENTRYPOINT nor CMD: set command to the program`,
    );
  if (seen.size > 1)
    return refuse(
      'entrypoint-ambiguous',
      `image ${quote(need.image)} does not run the same on ${enumerate(platforms.map(({ platform }) => platform.architecture || 'any platform'))}: set command, or nodeSelector ${ARCH_LABEL}`,
    );
  return { facts: answer, platforms, config, variables: config.env.map(variableOf).filter(isCopied) };
}

/** A message has fewer than 256 characters; a problem holds names of any length. */
const LONGEST_PROBLEM = 165;

function namesSpec(config: ImageConfig): boolean {
  return config.env.some((entry) => entry.startsWith(`${ENV.mainProcessSpec}=`));
}

/** A kubelet expands $(NAME) in words and values, and takes $$ for $. */
const literal = (text: string): string => text.replaceAll('$', '$$$$');

function variableOf(entry: string): Variable {
  const equals = entry.indexOf('=');
  return equals === -1 ? { name: entry, value: '' } : { name: entry.slice(0, equals), value: literal(entry.slice(equals + 1)) };
}

/** Variables that are written into the pod, where they count without the image: not those that are pinned, and no secret. */
function isCopied({ name }: Variable): boolean {
  return name.startsWith('OPENSHELL_') && name !== ENV.sandboxToken && name !== ENV.containerImage && !PINNED_VARIABLES.includes(name);
}

/** What the image's variables make of the supervisor, for comparison. */
function counted({ env }: ImageConfig): readonly string[] {
  return env.filter((entry) => isCopied(variableOf(entry))).toSorted();
}

/** The reference by which the pod runs what was looked up, whatever its tag means later. */
function pinned(image: string, { digest }: ImageFacts, settings: SideloadSettings): string {
  return digest === undefined || !settings.pinResolvedImages || isPinned(image) ? image : `${image}@${digest}`;
}

/** The container as its runtime would run it: with what the image brings where the pod has nothing. */
export function withImage(container: Container, need: ImageNeed, brought: BroughtImage, settings: SideloadSettings): Container {
  const { config, platforms, facts } = brought;
  const env = container.env ?? [];
  const own = new Set(env.map(({ name }) => name));
  // Of what a loader reads, every platform counts.
  const seen = platforms.flatMap((platform) => platform.env.map(variableOf));
  const read = seen.filter((variable) => isLoaderVariable(variable.name) || variable.name === 'PATH' || isCopied(variable));
  const words = (list: readonly string[]): string[] => list.map(literal);
  const runs = need.forProgram && !(namesSpec(config) && !container.args?.length);
  return {
    ...container,
    image: pinned(need.image, facts, settings),
    ...(runs ? { command: [...words(config.entrypoint), ...(container.args?.length ? container.args : words(config.cmd))], args: [] } : {}),
    workingDir: container.workingDir || (config.workingDir === '/' ? '' : config.workingDir),
    env: [...read.filter(({ name }) => !own.has(name)), ...env],
  };
}

/** Warns where the image names a user that its program does not get; a pod that chooses one would not have got it either. */
export function userConcerns(spec: PodSpec, container: Container, { config: { user } }: BroughtImage, { uid }: Identity): Warning[] {
  const [name = ''] = user.split(':');
  const chosen = container.securityContext?.runAsUser ?? spec.securityContext?.runAsUser;
  if (chosen !== undefined || ['', '0', 'root', String(uid)].includes(name)) return [];
  return [
    {
      code: 'image-user',
      message: `the image of container ${quote(container.name ?? '')} names USER ${quote(user)}, which does not count: the program runs as ${uid}; set runAsUser`,
    },
  ];
}
