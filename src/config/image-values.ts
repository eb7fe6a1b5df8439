/** Values of options that name images and registries. */

import { absolutePath } from '../sideload/paths.ts';
import { isConfigMapName } from '../sideload/policy.ts';
import type { PolicyRules, PolicySource } from '../sideload/policy-source.ts';
import { judgeSupervisorImage } from '../sideload/supervisor-image.ts';
import { BadValueError, matching, words } from './values.ts';

const HOST = /^[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:\d{1,5})?$/;

/** Hosts of registries, with their ports if they have one. */
export function hosts(value: string): string[] {
  return words(value).map((host) => {
    if (!HOST.test(host)) throw new BadValueError(`expected hosts such as registry.example:5000, found ${JSON.stringify(host)}`);
    return host;
  });
}

/** Mirrors of registries: a host, and a path below it if there is one, by the host of the registry. */
export function mirrors(value: string): ReadonlyMap<string, string> {
  return new Map(
    words(value).map((pair) => {
      const [host = '', mirror = '', ...rest] = pair.split('=');
      const [name = '', ...path] = mirror.split('/');
      if (!HOST.test(host) || !HOST.test(name) || rest.length > 0 || path.some((part) => !/^[a-z0-9][a-z0-9._-]*$/.test(part)))
        throw new BadValueError(`expected HOST=MIRROR such as docker.io=mirror.example/hub, found ${JSON.stringify(pair)}`);
      return [host, mirror];
    }),
  );
}

/** Optional registry with port, then path: github.com/distribution/reference, without its length limits. */
const COMPONENT = '[a-z0-9]+(?:[._-]+[a-z0-9]+)*';
const REPOSITORY = `(?:[A-Za-z0-9]+(?:[.-]+[A-Za-z0-9]+)*(?::[0-9]+)?/)?${COMPONENT}(?:/${COMPONENT})*`;
const REFERENCE = new RegExp(`^${REPOSITORY}(?::[\\w][\\w.-]{0,127})?(?:@sha256:[0-9a-f]{64})?$`);

/** An image reference that is not known to hold no in-pod supervisor. */
export function supervisorImage(value: string): string {
  const reference = matching(REFERENCE, 'an image reference such as ghcr.io/nvidia/openshell/supervisor:0.0.110')(value);
  const { fits, detail } = judgeSupervisorImage(reference);
  if (fits === 'no') throw new BadValueError(`the image ${detail}`);
  return reference;
}

/** Repositories, with or without the digest of an image. A tag may mean another image tomorrow. */
export function imagesWithoutTag(value: string): string[] {
  const pattern = new RegExp(`^${REPOSITORY}(?:@sha256:[0-9a-f]{64})?$`);
  return words(value).map(matching(pattern, 'repositories, or REPOSITORY@sha256:DIGEST, without tags, separated by commas'));
}

function policyFile(value: string, others: string): PolicySource {
  const [, from, name = ''] = /^(configmap|image):(.*)$/.exec(value) ?? [];
  if (from === 'configmap') {
    if (!isConfigMapName(name)) throw new BadValueError('expected the name of a ConfigMap behind configmap:');
    return { from, name };
  }
  if (from === 'image') {
    if (!REFERENCE.test(name))
      throw new BadValueError(`expected an image reference behind image:, such as image:registry.example/policy:1`);
    return { from, reference: name };
  }
  throw new BadValueError(`expected configmap:NAME, image:REFERENCE or ${others}`);
}

/** Where a policy's data comes from; undefined for `none`. */
export function policySource(value: string): PolicySource | undefined {
  return value === 'none' ? undefined : policyFile(value, 'none');
}

/** Where a policy's rules come from. */
export function policyRules(value: string): PolicyRules {
  if (value === 'same') return { from: 'same' };
  if (!value.startsWith('supervisor:')) return policyFile(value, 'supervisor:/PATH, or same');
  const path = value.slice('supervisor:'.length);
  if (!path.startsWith('/') || absolutePath(path) !== path || path.includes('$('))
    throw new BadValueError('expected an absolute path behind supervisor:, without . and .., such as supervisor:/policy.rego');
  return { from: 'supervisor', path };
}
