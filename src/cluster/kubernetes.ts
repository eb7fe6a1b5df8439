/**
 * The Kubernetes client for the command line, with its calls for each kind. A bundle leaves out what has no name here, which is
 * most of what the client takes to load. Loaded only by client.ts.
 */

export {
  AdmissionregistrationV1Api,
  ApisApi,
  AppsV1Api,
  AuthorizationV1Api,
  CoreV1Api,
  CustomObjectsApi,
  DiscoveryV1Api,
  HttpMethod,
  KubeConfig,
  KubernetesObjectApi,
  PortForward,
  Watch,
} from '@kubernetes/client-node';
