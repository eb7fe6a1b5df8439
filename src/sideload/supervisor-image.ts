/** Which line of OpenShell a supervisor image belongs to: only images of the 0.0 line hold a supervisor that runs in the sandbox container. */

import { parseReference } from './image.ts';

/**
 * Repositories whose tags are OpenShell's versions. Since 0.1.0 (2026-09-25) they hold a supervisor that runs in a pod of its
 * own (NVIDIA/OpenShell#2942, #3144). Tags have no `v` upstream and one in OpenDataHub's builds (`v0.0.113-rhaiv.1`).
 */
const VERSIONED_REPOSITORIES = [
  'ghcr.io/nvidia/openshell/supervisor',
  'ghcr.io/kagenti/openshell/supervisor',
  'quay.io/opendatahub/odh-openshell-supervisor',
];

/** The program of the same name that a supervisor in another pod needs: alone, it guards nothing. */
const SANDBOX_REPOSITORIES = ['ghcr.io/nvidia/openshell/sandbox', 'quay.io/opendatahub/odh-openshell-sandbox'];

/** The last version whose program writes to the container's log (NVIDIA/OpenShell#2726 came after it). */
const LAST_WITH_OUTPUT = 110;

/** Whether an image holds a supervisor that can be sideloaded, as far as its name shows. */
export interface ImageFit {
  /** `no`: known to hold none. `moving`: its tag may mean another image tomorrow. `unknown`: the name does not tell. */
  readonly fits: 'yes' | 'no' | 'moving' | 'unknown';
  /** For people: what follows from it. */
  readonly detail: string;
}

/** Judges the reference of a supervisor image by its repository and tag. */
export function judgeSupervisorImage(reference: string): ImageFit {
  const { repository, tag = '', digest } = parseReference(reference);
  if (SANDBOX_REPOSITORIES.includes(repository))
    return {
      fits: 'no',
      detail:
        'holds the sandbox program of OpenShell 0.1 and newer, which guards nothing without a supervisor pod: use ghcr.io/nvidia/openshell/supervisor:0.0.110',
    };
  if (digest === undefined && (tag === '' || tag === 'latest'))
    return {
      fits: 'moving',
      detail: `${tag === '' ? 'has no tag, which means latest' : 'is tagged latest'}: it moves, and is of OpenShell 0.1 or newer today, which cannot be sideloaded; name a version such as 0.0.110`,
    };
  if (!VERSIONED_REPOSITORIES.includes(repository))
    return { fits: 'unknown', detail: 'its version is not known: it has to hold an in-pod supervisor (OpenShell 0.0.x)' };
  const [, major, minor, patch] = /^v?(\d+)\.(\d+)(?:\.(\d+))?(?:[-+.].*)?$/.exec(tag) ?? [];
  if (major === undefined || minor === undefined)
    return { fits: 'unknown', detail: 'its tag is no version: it has to hold an in-pod supervisor (OpenShell 0.0.x)' };
  if (Number(major) > 0 || Number(minor) > 0)
    return {
      fits: 'no',
      detail: `is OpenShell ${major}.${minor}, whose supervisor runs in its own pod and cannot be sideloaded: use a tag from 0.0.x, such as 0.0.110`,
    };
  if (patch !== undefined && Number(patch) > LAST_WITH_OUTPUT)
    return {
      fits: 'yes',
      detail: `in-pod supervisor of OpenShell 0.0.${patch}: kubectl logs shows nothing of the program (0.0.110 is the last that does)`,
    };
  return { fits: 'yes', detail: `in-pod supervisor of OpenShell 0.0.${patch ?? 'x'}` };
}
