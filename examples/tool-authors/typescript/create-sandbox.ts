/** Creates a sandbox pod and prints its name, or why it was refused. */

import { ApiException, CoreV1Api, KubeConfig } from '@kubernetes/client-node';

const config = new KubeConfig();
config.loadFromDefault();
const pod = {
  metadata: {
    generateName: 'agent-',
    labels: { 'openshell.ai/sandbox': 'true', 'openshell.ai/sandbox-id': '3f1c9a52' },
  },
  spec: {
    containers: [
      {
        name: 'agent',
        image: 'registry.example/agent:1.0',
        command: ['python', '-m', 'agent'],
        env: [{ name: 'OPENSHELL_ENDPOINT', value: 'https://openshell.openshell-system.svc:8080' }],
      },
    ],
  },
};
try {
  const pods = config.makeApiClient(CoreV1Api);
  const { data, headers } = await pods.createNamespacedPodWithHttpInfo({ namespace: 'agents', body: pod });
  // The client leaves them in the header: 299 - "a sentence", 299 - "another", quoted as in JSON.
  for (const [, sentence = ''] of headers.warning?.matchAll(/299 - ("(?:[^"\\]|\\.)*")/g) ?? [])
    console.error(`Warning: ${JSON.parse(sentence)}`);
  console.log(data.metadata?.name);
} catch (error) {
  if (!(error instanceof ApiException)) throw error;
  const { code, reason, message } = JSON.parse(error.body);
  console.error(`refused (${code} ${reason}): ${message}`);
  process.exitCode = 1;
}
