import { INSTALL_CONTAINER, installCommand, SUPERVISOR_MOUNT_PATH } from './contract.ts';
import type { Plan } from './plan.ts';
import type { SideloadSettings } from './settings.ts';

/**
 * The sandbox container's own requests and limits: init containers run before it, so the pod's effective size and its class
 * of service stay what they were, and a quota that admits the one admits the other. Where it has none, none are set: a
 * BestEffort pod stays BestEffort.
 */
function resourcesFor({ container }: Plan): Record<string, unknown> | undefined {
  const { requests, limits } = container.resources ?? {};
  return requests || limits ? { ...(requests ? { requests } : {}), ...(limits ? { limits } : {}) } : undefined;
}

/** The init container that copies the supervisor into the volume. */
export function installContainer(plan: Plan, settings: SideloadSettings): Record<string, unknown> {
  const resources = resourcesFor(plan);
  return {
    name: INSTALL_CONTAINER,
    image: settings.image,
    ...(settings.pullPolicy === '' ? {} : { imagePullPolicy: settings.pullPolicy }),
    command: installCommand(settings.layout),
    ...(resources ? { resources } : {}),
    securityContext: {
      runAsUser: 0,
      // Without this a pod-level runAsNonRoot: true leaves the container in CreateContainerConfigError.
      runAsNonRoot: false,
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    },
    volumeMounts: [{ name: plan.existing.volumeName, mountPath: SUPERVISOR_MOUNT_PATH }],
  };
}
