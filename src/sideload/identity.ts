import { type Refuse, refuse } from './outcome.ts';
import type { Container, PodSpec } from './pod.ts';
import type { SideloadSettings } from './settings.ts';

/** User and group id of the sandboxed process. */
export interface Identity {
  readonly uid: number;
  readonly gid: number;
}

/** Source: k8s.io/apimachinery/pkg/util/validation, IsValidUserID and IsValidGroupID. */
const MAX_ID = 2 ** 31 - 1;

/**
 * The identity that the container would have run under: the supervisor starts as root and gives it to the sandboxed process.
 * Root, or none asked for, becomes the operator's default, as in OpenShell's driver (apply_resolved_identity_env).
 *
 * @returns a refusal for an id that the API server would have refused, had the container's runAsUser not been replaced
 */
export function identityOf(spec: PodSpec, container: Container, settings: SideloadSettings): Identity | Refuse {
  const uid = container.securityContext?.runAsUser ?? spec.securityContext?.runAsUser ?? 0;
  const gid = container.securityContext?.runAsGroup ?? spec.securityContext?.runAsGroup ?? 0;
  return refuseId('runAsUser', uid) ?? refuseId('runAsGroup', gid) ?? { uid: uid || settings.uid, gid: gid || settings.gid };
}

function refuseId(member: string, id: number): Refuse | undefined {
  if (id >= 0 && id <= MAX_ID) return undefined;
  return refuse('invalid-identity', `securityContext.${member} is ${id}: set an id from 0 to ${MAX_ID}`);
}
