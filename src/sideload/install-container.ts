import { INSTALL_CONTAINER, installCommand, SUPERVISOR_MOUNT_PATH } from './contract.ts';
import type { Plan } from './plan.ts';
import type { SideloadSettings } from './settings.ts';

/** Copying one file of some tens of megabytes. Requests equal limits: beside Guaranteed containers the pod stays Guaranteed. */
const SMALL = { cpu: '100m', memory: '64Mi' };

/**
 * The sandbox container's own requests and limits: init containers run before it, so the pod's effective size stays what it
 * was. Where it has none, small ones, which a quota asks for; with pod-level resources (KEP-2837) none are needed.
 */
function resourcesFor({ spec, container }: Plan): Record<string, unknown> | undefined {
  const { requests, limits } = container.resources ?? {};
  if (requests || limits) return { ...(requests ? { requests } : {}), ...(limits ? { limits } : {}) };
  return spec.resources ? undefined : { requests: SMALL, limits: SMALL };
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
