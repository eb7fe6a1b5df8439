/** Volumes of files beside the supervisor: the policy, and the credentials of a corporate proxy. */

import { isDeepStrictEqual } from 'node:util';
import { PROXY_AUTH_FILE, PROXY_AUTH_MOUNT_PATH, PROXY_AUTH_VOLUME } from './contract.ts';
import { type FoundMount, findMountAt } from './mounts.ts';
import { isRefusal, quote, type Refuse, refuse } from './outcome.ts';
import type { Container, PodSpec, Volume } from './pod.ts';
import type { FileVolume, Policy } from './policy-source.ts';
import type { SideloadSettings } from './settings.ts';

/** A volume of files, and which parts of it the pod has. */
export interface PlacedFiles {
  readonly files: FileVolume;
  readonly hasVolume: boolean;
  /** Its mount in the sandbox container; undefined where there is none yet. */
  readonly mount: FoundMount | undefined;
}

/** Only root reads it, and a Secret that is missing holds up the pod. */
function proxyAuthVolume({ name, key }: NonNullable<SideloadSettings['proxyAuthSecret']>): FileVolume {
  const items = [{ key, path: PROXY_AUTH_FILE }];
  return {
    name: PROXY_AUTH_VOLUME,
    mountPath: PROXY_AUTH_MOUNT_PATH,
    source: { secret: { secretName: name, items, defaultMode: 0o400, optional: false } },
  };
}

/** Whether a volume has the source that the webhook writes. What an API server adds to an image volume, its pull policy, may differ. */
function isSource({ image, projected, secret }: Volume, { source }: FileVolume): boolean {
  const wanted = source as { image?: { reference: string }; projected?: object; secret?: object };
  if (wanted.image) return image?.reference === wanted.image.reference;
  return isDeepStrictEqual(wanted.projected ? projected : secret, wanted.projected ?? wanted.secret);
}

/**
 * Looks where the files of a pod's policy, and of the operator's proxy, go.
 *
 * @returns a refusal where something else has the name of a volume or stands at its path
 */
export function placeFiles(
  spec: PodSpec,
  container: Container,
  policy: Policy | undefined,
  { proxyAuthSecret }: SideloadSettings,
): readonly PlacedFiles[] | Refuse {
  const wanted = [...(policy?.volumes ?? []), ...(proxyAuthSecret ? [proxyAuthVolume(proxyAuthSecret)] : [])];
  const placed: PlacedFiles[] = [];
  for (const files of wanted) {
    const mount = findMountAt(container, files.mountPath);
    if (isRefusal(mount)) return mount;
    if (mount && mount.name !== files.name)
      return refuse(
        'mount-path-taken',
        `${files.mountPath} in container ${quote(container.name ?? '')} is a mount of ${quote(mount.name)}, and the webhook mounts volume ${files.name} there: mount yours elsewhere`,
      );
    const volume = spec.volumes?.find(({ name }) => name === files.name);
    if (volume && !isSource(volume, files))
      return refuse(
        'volume-name-taken',
        `volume ${quote(files.name)} has another source than the webhook gives it; the webhook needs this name: ${mount ? `remove the volume and its mount at ${files.mountPath}` : 'rename the volume'}`,
      );
    placed.push({ files, hasVolume: volume !== undefined, mount });
  }
  return placed;
}
