/** Looking images up as the user: with the credentials of `docker login`, and no cluster. */

import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { Config } from '../config/config.ts';
import { type Images, openImageSources } from '../server/images.ts';
import { decide } from '../sideload/decide.ts';
import type { ImageFacts, UnknownImage } from '../sideload/image-facts.ts';
import type { Pod } from '../sideload/pod.ts';
import type { ClusterFacts, SideloadSettings } from '../sideload/settings.ts';
import type { CommandOption } from './command.ts';

export const LOOKUP: CommandOption = {
  description:
    'Looks up what images run where a pod has no command, as the webhook does at admission, with the credentials of ~/.docker/config.json (or DOCKER_CONFIG).',
};

/** Tells what is known of a pod's image; undefined where the decision does not need it. */
export type ImageLookup = (pod: Pod, settings: SideloadSettings, facts: ClusterFacts) => Promise<ImageFacts | UnknownImage | undefined>;

/**
 * Opens the lookup, or what looks nothing up.
 *
 * @throws ExpectedError when a file that an option names cannot be used
 */
export async function openLookup(config: Pick<Config, 'images' | 'sideload'>, looksUp: boolean): Promise<ImageLookup> {
  if (!looksUp) return async () => undefined;
  const { lookUp } = await openUserSources(config);
  return async (pod, settings, facts) => {
    const outcome = decide(pod, settings, facts);
    if (outcome.verdict !== 'refuse' || !outcome.needs) return undefined;
    const { image, forVariables } = outcome.needs;
    return (await lookUp({ image, forVariables, namespace: '', pullSecrets: [] })).image;
  };
}

/**
 * Opens registries with the user's own credentials, unless an option names others.
 *
 * @throws ExpectedError when a file that an option names cannot be used
 */
export async function openUserSources(config: Pick<Config, 'images' | 'sideload'>): Promise<Images> {
  const own = join(process.env.DOCKER_CONFIG ?? join(homedir(), '.docker'), 'config.json');
  const credentials = config.images.credentials || (existsSync(own) ? own : '');
  const sources = await openImageSources({ ...config, images: { ...config.images, credentials } }, undefined, {
    onChange: () => undefined,
    onProblem: () => undefined,
  });
  // A command reads each file once.
  sources.stop();
  return sources;
}
