/** Creates a sandbox pod and prints its name, or why it was refused. */

import { ApiException, CoreV1Api, KubeConfig } from '@kubernetes/client-node';

const config = new KubeConfig();
config.loadFromDefault();
const pod = {
  metadata: {
    generateName: 'agent-',
    labels: { 'openshell.ai/sandbox': 'true' },
    annotations: { 'openshell.ai/policy': 'agent-policy' },
  },
  spec: {
    containers: [
      {
        name: 'agent',
        image: 'registry.example/agent:1.0',
        command: ['python', '-m', 'agent'],
      },
    ],
  },
};
try {
  const pods = config.makeApiClient(CoreV1Api);
  const { data, headers } = await pods.createNamespacedPodWithHttpInfo({ namespace: 'agents', body: pod });
  // The client leaves warnings in the header: 299 - "a message", 299 - "another", quoted as in JSON.
  for (const [, message = ''] of headers.warning?.matchAll(/299 - ("(?:[^"\\]|\\.)*")/g) ?? [])
    console.error(`Warning: ${JSON.parse(message)}`);
  console.log(data.metadata?.name);
} catch (error) {
  if (!(error instanceof ApiException)) throw error;
  const { code, reason, message } = JSON.parse(error.body);
  console.error(`refused (${code} ${reason}): ${message}`);
  process.exitCode = 1;
}
