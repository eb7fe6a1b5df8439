/** Why each replica is ready or not, as it says itself. */

import { request } from 'node:http';
import type { V1Pod } from '@kubernetes/client-node';
import { call } from '../../cluster/client.ts';
import type { Context } from './context.ts';
import { type Finding, failed, ok } from './finding.ts';
import { connectWith, isRunning } from './replicas.ts';

/** Asks /readyz?verbose of the admin port; each line begins with [+] or [-]. */
async function askReadiness(context: Context, pod: string, port: number): Promise<string[]> {
  const connection = await connectWith(context, pod, port);
  const read = new Promise<string>((resolve, reject) => {
    const probe = request(
      { path: '/readyz?verbose', headers: { host: pod, connection: 'close' }, createConnection: () => connection },
      (response) => {
        let body = '';
        response.setEncoding('utf8').on('data', (chunk: string) => {
          body += chunk;
        });
        response.on('end', () => resolve(body)).on('error', reject);
      },
    );
    probe.on('error', reject).end();
  });
  try {
    return (await call(`read the readiness of pod ${pod}`, read)).split('\n').filter((line) => line.startsWith('['));
  } finally {
    connection.destroy();
  }
}

function why({ status }: V1Pod): string {
  const { waiting, terminated } = status?.containerStatuses?.[0]?.state ?? {};
  const unscheduled = status?.conditions?.find(({ type, status: holds }) => type === 'PodScheduled' && holds === 'False');
  const reason = waiting ?? terminated ?? unscheduled;
  return [reason?.reason ?? status?.phase ?? 'not started', reason?.message].filter(Boolean).join(': ');
}

export async function checkReadiness(context: Context): Promise<readonly Finding[]> {
  const { namespace } = context.config;
  const { config } = await context.deployed();
  const findings = (await context.replicas()).map(async (pod): Promise<Finding> => {
    const name = pod.metadata?.name ?? '';
    const logs = `kubectl logs -n ${namespace} ${name}; kubectl describe pod -n ${namespace} ${name}`;
    if (!isRunning(pod)) return failed(`${name} does not run: ${why(pod)}`, logs);
    const checks = await askReadiness(context, name, config.adminPort);
    const bad = checks.filter((line) => line.startsWith('[-]'));
    if (bad.length > 0 || checks.length === 0) return failed(`${name} is not ready: ${bad.join('; ')}`, logs);
    return ok(`${name}: ${checks.map((line) => line.slice('[+] '.length)).join('; ')}`);
  });
  const found = await Promise.all(findings);
  const events = `kubectl describe replicasets -n ${namespace}; kubectl get events -n ${namespace}`;
  return found.length > 0 ? found : [failed('the webhook has no pods', events)];
}
