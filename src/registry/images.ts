/** What is known of a pod's image: from the operator's map, from the registry with the pod's own credentials, or from nowhere. */

import { ExpectedError } from '../observe/expected-error.ts';
import { parseReference } from '../sideload/image.ts';
import type { ImageFacts, UnknownImage } from '../sideload/image-facts.ts';
import { quote } from '../sideload/outcome.ts';
import { attemptsFor } from './client.ts';
import { type Keyring, readKeyring } from './credentials.ts';
import { type EntrypointMap, mapped } from './entrypoint-map.ts';
import { ImageError } from './image-error.ts';
import { type Lookups, Recent, type Source } from './lookups.ts';
import type { RegistryAccess } from './transport.ts';

/** Text of a pull secret; `forbidden`, `missing`, or `other`: a Secret of a type that holds no credentials for registries. */
type PullSecret = { readonly text: string } | 'forbidden' | 'missing' | 'other';

/** Where images are looked up. */
export interface ImageSources {
  readonly map: () => EntrypointMap;
  /** Undefined: only the map counts. */
  readonly registry: { readonly access: RegistryAccess; readonly lookups: Lookups } | undefined;
  readonly operatorKeyring: () => Keyring;
  /** Undefined where there is no cluster. */
  readonly readPullSecret: ((namespace: string, name: string) => Promise<PullSecret>) | undefined;
  /** Name of the ClusterRole that lets the webhook read pull secrets, where it is bound. */
  readonly pullSecretsRole: string;
}

/** One image, and who asks for it. */
export interface ImageRequest {
  readonly image: string;
  /** Whether the image's variables have to be seen: the map does not know them. */
  readonly forVariables: boolean;
  readonly namespace: string;
  readonly pullSecrets: readonly string[];
}

/** What was found, and how. */
export interface LookedUp {
  readonly image: ImageFacts | UnknownImage;
  readonly source: Source | 'map' | 'none';
  /** `found`, or why it was not. */
  readonly outcome: string;
}

/** A pull secret that was read is not read again for so long. */
const SECRET_MS = 30_000;
/** A RoleBinding, or a Secret, that is missing may be made a moment later. */
const MISSING_MS = 5_000;
const MAX_SECRETS = 1024;
/** More pull secrets than any pod has. */
const MOST_SECRETS = 16;
/** Everything for one image: the webhook has 10 s in all. */
const TOTAL_MS = 7_000;

/** Opens what looks images up. It remembers what it read. */
export function openImages(sources: ImageSources, clock: () => number = Date.now): (request: ImageRequest) => Promise<LookedUp> {
  const secrets = new Recent<{ readonly until: number; readonly secret: Promise<PullSecret> }>(MAX_SECRETS);

  const pullSecret = (namespace: string, name: string): Promise<PullSecret> => {
    const key = `${namespace}/${name}`;
    const known = secrets.get(key);
    if (known !== undefined && known.until > clock()) return known.secret;
    const secret = sources.readPullSecret?.(namespace, name) ?? Promise.resolve('missing' as const);
    secrets.set(key, { secret, until: clock() + SECRET_MS });
    secret.then(
      (found) => {
        if (typeof found === 'string') secrets.set(key, { secret, until: clock() + MISSING_MS });
      },
      () => secrets.delete(key),
    );
    return secret;
  };

  /** The pod's keyrings, and what could not be read of them. */
  const keyringsOf = async ({ namespace, pullSecrets }: ImageRequest): Promise<{ keyrings: Keyring[]; problems: string[] }> => {
    const problems: string[] = [];
    const keyrings = await Promise.all(
      pullSecrets.slice(0, MOST_SECRETS).map(async (name): Promise<Keyring> => {
        const secret = await pullSecret(namespace, name);
        if (secret === 'forbidden')
          problems.push(
            `bind ClusterRole ${sources.pullSecretsRole} in namespace ${namespace}: pull secret ${quote(name)} may not be read`,
          );
        if (secret === 'missing') problems.push(`pull secret ${quote(name)} does not exist`);
        if (secret === 'other') problems.push(`pull secret ${quote(name)} is of a type without credentials`);
        if (typeof secret === 'string') return [];
        try {
          return readKeyring(secret.text);
        } catch (error) {
          if (!(error instanceof ExpectedError)) throw error;
          problems.push(`pull secret ${quote(name)} is of no use: ${error.message}`);
          return [];
        }
      }),
    );
    return { keyrings: [sources.operatorKeyring(), ...keyrings], problems };
  };

  const lookUp = async (request: ImageRequest): Promise<LookedUp> => {
    const { image, namespace } = request;
    const own = mapped(sources.map(), image);
    const { registry } = sources;
    if (own && !request.forVariables)
      return { image: { from: 'map', digest: parseReference(image).digest, configs: [own] }, source: 'map', outcome: 'found' };
    if (!registry)
      return failed('entrypoint-unknown', 'not-mapped', `image ${quote(image)} is not in the operator's map (--entrypoint-map)`);
    let problems: readonly string[] = [];
    try {
      const found = await keyringsOf(request);
      problems = found.problems;
      const attempts = attemptsFor(image, found.keyrings, registry.access);
      const { digest, configs, source } = await registry.lookups.find(namespace, image, attempts);
      const program = own && { entrypoint: own.entrypoint, cmd: own.cmd, ...(own.workingDir === '' ? {} : { workingDir: own.workingDir }) };
      const read = configs.map((config) => ({ ...config, ...program }));
      return { image: { from: own ? 'map' : 'registry', digest, configs: read }, source, outcome: 'found' };
    } catch (error) {
      if (!(error instanceof ExpectedError)) throw error;
      const problem = error instanceof ImageError ? error.problem : 'unavailable';
      const passes = !(error instanceof ImageError) || error.passes;
      const hints = ['unauthorized', 'not-found'].includes(problem) ? problems : [];
      return failed(passes ? 'entrypoint-unavailable' : 'entrypoint-unknown', problem, [error.message, ...hints].join('; '));
    }
  };

  return async (request) => {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<LookedUp>((resolve) => {
      timer = setTimeout(
        () => resolve(failed('entrypoint-unavailable', 'unavailable', `nothing was found out within ${TOTAL_MS / 1000} s`)),
        TOTAL_MS,
      );
    });
    try {
      return await Promise.race([lookUp(request), late]);
    } finally {
      clearTimeout(timer);
    }
  };
}

function failed(reason: UnknownImage['reason'], outcome: string, problem: string): LookedUp {
  return { image: { from: 'nowhere', reason, problem }, source: 'none', outcome };
}
