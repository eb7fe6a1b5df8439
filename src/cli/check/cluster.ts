/** What the cluster can do, for an installation that is there or is to come. */

import { call } from '../../cluster/client.ts';
import { keepsByVersion, keepsImageVolumes, readServerVersion } from '../../cluster/image-volumes.ts';
import { countNodes } from '../../cluster/nodes.ts';
import { judgeSupervisorImage } from '../../sideload/supervisor-image.ts';
import type { Context } from './context.ts';
import { type Finding, failed, Obstacle, ok, warning } from './finding.ts';
import type { Group } from './run.ts';

/** There before the webhook's own namespace is. */
const ANY_NAMESPACE = 'default';
/** The oldest release that the end-to-end tests run on. */
const OLDEST_MINOR = 30;
const TAKE_AUTO = 'set --supervisor-sideload-method=auto (docs/operations.md#what-the-cluster-can-do)';

async function apiServer({ cluster }: Context): Promise<Finding> {
  const server = cluster.config.getCurrentCluster()?.server;
  const version = await readServerVersion(cluster).catch((error: Error) => {
    throw new Obstacle(
      `${error.message}; it should be at ${server}`,
      'name the cluster: --kubeconfig=FILE, --context=NAME or KUBECONFIG\nkubectl get --raw /readyz says whether it is up',
    );
  });
  const [, minor] = /^v1\.(\d+)\./.exec(version) ?? [];
  const detail = `${version} at ${server}`;
  return minor === undefined || Number(minor) >= OLDEST_MINOR ? ok(detail) : warning(`${detail}: tested are v1.${OLDEST_MINOR} and newer`);
}

async function admissionApi({ cluster: { k8s, config } }: Context): Promise<Finding> {
  const request = config.makeApiClient(k8s.AdmissionregistrationV1Api).getAPIResources();
  const { resources } = await call('read which resources admissionregistration.k8s.io/v1 has', request);
  if (resources.some(({ name }) => name === 'mutatingwebhookconfigurations')) return ok('admissionregistration.k8s.io/v1');
  return failed('admissionregistration.k8s.io/v1 has no mutatingwebhookconfigurations', 'start kube-apiserver with that API enabled');
}

async function imageVolumes(context: Context): Promise<Finding> {
  const version = await readServerVersion(context.cluster);
  const tried = await keepsImageVolumes(context.cluster, ANY_NAMESPACE);
  const concluded = tried === undefined ? ' (concluded from its version: dry runs of pod templates are not permitted)' : '';
  if (tried ?? keepsByVersion(version)) return ok(`the API server keeps them${concluded}`);
  const detail = `the API server drops them${concluded}`;
  const { method } = await context.settings();
  return method === 'image-volume'
    ? failed(`${detail}, and --supervisor-sideload-method is image-volume: pods that name no other method are refused`, TAKE_AUTO)
    : warning(`${detail}: pods with an image volume are refused`);
}

async function nodes(context: Context): Promise<Finding> {
  const count = await countNodes(context.cluster);
  const { method, allowedMethods } = await context.settings();
  const able = allowedMethods.map((allowed) => `${allowed} ${allowed === 'image-volume' ? count.mountingImages : count.total}`);
  const detail = `schedulable Linux nodes: ${count.total}; known to support: ${able.join(', ')}`;
  if (count.total === 0) return warning(`${detail}: no sandbox can run`, 'kubectl get nodes');
  if (method === 'image-volume' && count.mountingImages < count.total)
    return warning(`${detail}; a sandbox may be scheduled on a node that does not`, TAKE_AUTO);
  return ok(detail);
}

async function supervisorImage(context: Context): Promise<Finding> {
  const { image } = await context.settings();
  const { fits, detail } = judgeSupervisorImage(image);
  return fits === 'yes'
    ? ok(`${image}: ${detail}`)
    : warning(`${image} ${detail}`, 'docs/compatibility.md lists the supported OpenShell versions');
}

export const CLUSTER: Group<Context> = {
  heading: 'cluster',
  checks: [
    { name: 'API server', run: apiServer },
    { name: 'admission API', needs: ['API server'], run: admissionApi },
    { name: 'image volumes', needs: ['API server'], run: imageVolumes },
    { name: 'nodes', needs: ['API server'], run: nodes },
    { name: 'supervisor image', needs: ['API server'], run: supervisorImage },
  ],
};
