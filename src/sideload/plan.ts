import type { Method } from './contract.ts';
import type { Existing } from './existing.ts';
import type { PlacedFiles } from './files.ts';
import type { Identity } from './identity.ts';
import type { BroughtImage } from './image-facts.ts';
import type { Container, Pod, PodSpec } from './pod.ts';
import type { PolicyChoice } from './policy.ts';

/** How one pod gets under the supervisor: everything that is decided before an operation is built. */
export interface Plan {
  readonly pod: Pod;
  /** With what the image brings where the pod has nothing. */
  readonly spec: PodSpec;
  readonly container: Container;
  /** The container as the pod has it. */
  readonly written: Container;
  /** What was found out about the image; undefined where it was not looked up. */
  readonly image: BroughtImage | undefined;
  /** Index of the container in spec.containers. */
  readonly index: number;
  readonly method: Method;
  readonly existing: Existing;
  /** Indexes in spec.initContainers of those that fill the volume already. */
  readonly installers: readonly number[];
  readonly identity: Identity;
  readonly policy: PolicyChoice;
  readonly files: readonly PlacedFiles[];
}
