/** What is known of a pod's image: from the operator's map, from the registry with the pod's own credentials, or from nowhere. */

import { ExpectedError } from '../observe/expected-error.ts';
import { parseReference } from '../sideload/image.ts';
import type { ImageFacts, UnknownImage } from '../sideload/image-facts.ts';
import { quote } from '../sideload/outcome.ts';
import { attemptsFor } from './client.ts';
import { type Keyring, readKeyring } from './credentials.ts';
import { type EntrypointMap, mapped } from './entrypoint-map.ts';
import { ImageError } from './image-error.ts';
import type { Lookups, Source } from './lookups.ts';
import { Recent } from './recent.ts';
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
/** How many pull secrets are remembered, and how long one may be: 8 MiB together. A Secret may hold a MiB. */
const [MAX_SECRETS, SECRET_BYTES] = [128, 64 * 1024];
/** More pull secrets than any pod has. */
const MOST_SECRETS = 16;
/** A repository has 255 characters at most, a tag 128, a digest 71, and a host 253. */
const LONGEST_NAME = 1024;
/** Everything for one image: the webhook has 10 s in all. */
const TOTAL_MS = 7_000;

/** Opens what looks images up. It remembers what it read. */
export function openImages(sources: ImageSources, clock: () => number = Date.now): (request: ImageRequest) => Promise<LookedUp> {
  const secrets = new Recent<Promise<PodKeyring>>(MAX_SECRETS, () => 1, clock);

  const podKeyring = (namespace: string, name: string): Promise<PodKeyring> => {
    const key = `${namespace}/${name}`;
    const known = secrets.get(key);
    if (known !== undefined) return known;
    const secret = sources.readPullSecret?.(namespace, name) ?? Promise.resolve('missing' as const);
    const keyring = secret.then((found) =>
      keyringOf(found, quote(name), `ClusterRole ${sources.pullSecretsRole} in namespace ${namespace}`),
    );
    secrets.set(key, keyring, clock() + SECRET_MS);
    keyring.then(
      ({ problem }) => {
        if (problem !== undefined) secrets.set(key, keyring, clock() + MISSING_MS);
      },
      () => secrets.delete(key),
    );
    return keyring;
  };

  const lookUp = async (request: ImageRequest): Promise<LookedUp> => {
    const { image, namespace } = request;
    if (image.length > LONGEST_NAME) return failed('entrypoint-unknown', 'broken', `image ${quote(image)} is no image name`);
    const own = mapped(sources.map(), image);
    const { registry } = sources;
    if (own && !request.forVariables)
      return { image: { from: 'map', digest: parseReference(image).digest, configs: [own] }, source: 'map', outcome: 'found' };
    if (!registry)
      return failed('entrypoint-unknown', 'not-mapped', `image ${quote(image)} is not in the operator's map (--entrypoint-map)`);
    let problems: readonly string[] = [];
    try {
      const found = await Promise.all(request.pullSecrets.slice(0, MOST_SECRETS).map((name) => podKeyring(namespace, name)));
      const left = request.pullSecrets.length - MOST_SECRETS;
      problems = [...found.flatMap(({ problem }) => problem ?? []), ...(left > 0 ? [`${left} more pull secrets are not read`] : [])];
      const keyrings = [sources.operatorKeyring(), ...found.map(({ keyring }) => keyring)];
      const attempts = attemptsFor(image, keyrings, registry.access);
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

/** The credentials of a pull secret, and what is wrong with it. */
interface PodKeyring {
  readonly keyring: Keyring;
  readonly problem: string | undefined;
}

function keyringOf(secret: PullSecret, name: string, role: string): PodKeyring {
  const none = (problem: string): PodKeyring => ({ keyring: [], problem });
  if (secret === 'forbidden') return none(`bind ${role}: pull secret ${name} may not be read`);
  if (secret === 'missing') return none(`pull secret ${name} does not exist`);
  if (secret === 'other') return none(`pull secret ${name} is of a type without credentials`);
  if (secret.text.length > SECRET_BYTES) return none(`pull secret ${name} has more than ${SECRET_BYTES} bytes`);
  try {
    return { keyring: readKeyring(secret.text), problem: undefined };
  } catch (error) {
    if (!(error instanceof ExpectedError)) throw error;
    return none(`pull secret ${name} is of no use: ${error.message}`);
  }
}

function failed(reason: UnknownImage['reason'], outcome: string, problem: string): LookedUp {
  return { image: { from: 'nowhere', reason, problem }, source: 'none', outcome };
}
