/** What the webhook looks images up with: the operator's files, followed, and the pull secrets of the cluster. */

import type { Logger } from 'pino';
import type { Config } from '../config/config.ts';
import type { Metrics } from '../observe/metrics.ts';
import { type WatchedFile, watchFile } from '../observe/watched-file.ts';
import { bodyMemory } from '../registry/body.ts';
import { registryHost } from '../registry/client.ts';
import { type Keyring, readKeyring } from '../registry/credentials.ts';
import { type EntrypointMap, readEntrypointMap } from '../registry/entrypoint-map.ts';
import { type ImageRequest, type ImageSources, type LookedUp, openImages } from '../registry/images.ts';
import { openLookups } from '../registry/lookups.ts';
import type { RegistryAccess } from '../registry/transport.ts';
import type { ImageFacts, UnknownImage } from '../sideload/image-facts.ts';
import type { ImageNeed } from '../sideload/outcome.ts';
import type { Pod } from '../sideload/pod.ts';
import { checkAuthorities } from '../tls/authorities.ts';

export interface Images {
  readonly lookUp: (request: ImageRequest) => Promise<LookedUp>;
  readonly access: RegistryAccess;
  /** Lookups that are under way. */
  readonly inFlight: () => number;
  readonly stop: () => void;
}

/** Told of files that changed. */
interface Events {
  readonly onChange: (option: string, file: string) => void;
  readonly onProblem: (error: Error) => void;
}

/**
 * Opens what images are looked up with.
 *
 * @param readPullSecret undefined where there is no cluster
 * @throws ExpectedError when one of the operator's files cannot be used
 */
export async function openImageSources(
  { images, sideload }: Pick<Config, 'images' | 'sideload'>,
  readPullSecret: ImageSources['readPullSecret'],
  events: Events,
): Promise<Images> {
  const watched: WatchedFile<unknown>[] = [];
  const open = async <T>(option: string, file: string, parse: (text: string) => T | Promise<T>, none: T): Promise<() => T> => {
    if (file === '') return () => none;
    const opened = await watchFile(option, file, parse, {
      onChange: () => events.onChange(option, file),
      onProblem: events.onProblem,
    });
    watched.push(opened);
    return opened.current;
  };
  const map = await open<EntrypointMap>('--entrypoint-map', images.map, parseMap, []);
  const authorities = await open<string>('--registry-ca', images.authorities, checkAuthorities, '');
  const keyring = await open<Keyring>('--registry-config', images.credentials, readKeyring, []);
  const access: RegistryAccess = {
    ...{ hosts: images.hosts.map(registryHost), plainHttp: images.plainHttp, mirrors: images.mirrors },
    ...{ memory: bodyMemory(), nameServers: [] },
    get ca() {
      return authorities();
    },
  };
  const lookups = openLookups(access);
  const lookUp = openImages({
    ...{ map, readPullSecret, operatorKeyring: keyring, pullSecretsRole: images.pullSecretsRole },
    registry: sideload.entrypoint === 'registry' ? { access, lookups } : undefined,
  });
  return {
    ...{ lookUp, access, inFlight: lookups.inFlight },
    stop: () => {
      for (const { stop } of watched) stop();
    },
  };
}

/** The YAML library is loaded only where there is a map. */
async function parseMap(text: string): Promise<EntrypointMap> {
  const { parse } = await import('yaml');
  return readEntrypointMap(parse(text));
}

/** The webhook's own: looks up what a pod needs, and counts. */
export type ImageReader = (pod: Pod, namespace: string, need: ImageNeed) => Promise<ImageFacts | UnknownImage>;

export function countedReader({ lookUp }: Images, metrics: Metrics): ImageReader {
  return async ({ spec }, namespace, { image, forVariables }) => {
    const started = performance.now();
    const pullSecrets = (spec?.imagePullSecrets ?? []).flatMap(({ name }) => name || []);
    const { image: found, source, outcome } = await lookUp({ image, forVariables, namespace, pullSecrets });
    metrics.imageLookup(source, outcome, (performance.now() - started) / 1000);
    return found;
  };
}

/** Reports to the log what became of the operator's files. */
export function loggedEvents(log: Logger): Events {
  return {
    onChange: (option, file) => log.info({ option, file }, 'a changed file is in use'),
    onProblem: (error) => log.error({ err: error }, 'a changed file cannot be used: what was read before stays in use'),
  };
}
