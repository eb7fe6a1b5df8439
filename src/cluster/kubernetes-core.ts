/** The part of the Kubernetes client that serving needs: who the API server is, and a watch. Loaded only by client.ts. */

export { HttpMethod, KubeConfig, Watch } from '@kubernetes/client-node';
