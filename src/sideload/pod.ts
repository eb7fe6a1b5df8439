/**
 * The part of a v1 Pod that the core reads. Members that are not named here are never touched, known to this version or not.
 * Source: k8s.io/api/core/v1, types.go.
 */

import { boolean, integer, integerOrString, list, object, type Passing, quantities, string, stringMap } from './shape.ts';

const windowsOptions = object({ hostProcess: boolean, gmsaCredentialSpecName: string, gmsaCredentialSpec: string, runAsUserName: string });

const nodeRequirement = object({ key: string, operator: string, values: list(string) });

const securityContext = object({
  windowsOptions,
  runAsUser: integer,
  runAsGroup: integer,
  runAsNonRoot: boolean,
  privileged: boolean,
  allowPrivilegeEscalation: boolean,
  readOnlyRootFilesystem: boolean,
  appArmorProfile: object({}),
  capabilities: object({ add: list(string), drop: list(string) }),
});

const hook = object({
  exec: object({}),
  httpGet: object({ host: string, port: integerOrString }),
  tcpSocket: object({ host: string, port: integerOrString }),
  grpc: object({ port: integer }),
});

const container = object({
  name: string,
  image: string,
  command: list(string),
  args: list(string),
  workingDir: string,
  restartPolicy: string,
  terminationMessagePath: string,
  env: list(object({ name: string, value: string, valueFrom: object({}) })),
  envFrom: list(object({ prefix: string, configMapRef: object({}), secretRef: object({}) })),
  resources: object({ requests: quantities, limits: quantities }),
  securityContext,
  ports: list(object({ containerPort: integer })),
  volumeMounts: list(
    object({ name: string, mountPath: string, readOnly: boolean, subPath: string, subPathExpr: string, mountPropagation: string }),
  ),
  volumeDevices: list(object({ devicePath: string })),
  livenessProbe: hook,
  readinessProbe: hook,
  startupProbe: hook,
  lifecycle: object({ postStart: hook, preStop: hook }),
});

const volume = object({
  name: string,
  image: object({ reference: string }),
  emptyDir: object({}),
  hostPath: object({ path: string }),
  projected: object({}),
  secret: object({}),
  configMap: object({}),
  downwardAPI: object({}),
});

/** What has to hold of a pod before `decide` may see it. */
export const podShape = object({
  metadata: object({ name: string, generateName: string, namespace: string, labels: stringMap, annotations: stringMap }),
  spec: object({
    os: object({ name: string }),
    nodeSelector: stringMap,
    affinity: object({
      nodeAffinity: object({
        requiredDuringSchedulingIgnoredDuringExecution: object({
          nodeSelectorTerms: list(object({ matchExpressions: list(nodeRequirement) })),
        }),
      }),
    }),
    runtimeClassName: string,
    imagePullSecrets: list(object({ name: string })),
    hostUsers: boolean,
    hostNetwork: boolean,
    hostPID: boolean,
    hostIPC: boolean,
    shareProcessNamespace: boolean,
    securityContext: object({
      runAsUser: integer,
      runAsGroup: integer,
      runAsNonRoot: boolean,
      appArmorProfile: object({}),
      windowsOptions,
    }),
    volumes: list(volume),
    initContainers: list(container),
    containers: list(container),
  }),
});

export type Pod = Passing<typeof podShape>;
export type PodSpec = NonNullable<Pod['spec']>;
export type Container = Passing<typeof container>;
export type NodeRequirement = Passing<typeof nodeRequirement>;
export type Volume = Passing<typeof volume>;
export type Hook = Passing<typeof hook>;
export type EnvVar = NonNullable<Container['env']>[number];

/** A variable that the webhook writes: a literal value, or a key of a Secret or ConfigMap in the pod's namespace. */
export interface Variable {
  readonly name: string;
  readonly value?: string;
  readonly valueFrom?: Reference;
}

type KeyReference = { readonly name: string; readonly key: string };
export type Reference = { readonly secretKeyRef: KeyReference } | { readonly configMapKeyRef: KeyReference };
