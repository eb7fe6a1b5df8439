import { readFileSync } from 'node:fs';
import { Agent, request } from 'node:https';
import type { ControlPlane } from './control-plane.ts';

interface Answer {
  readonly status: number;
  readonly body: string;
}

/** Requests to an API server over connections that stay open. */
export interface ClusterAdmin {
  /** Rejects where there is no answer; a refusal is one. */
  readonly send: (method: 'GET' | 'POST' | 'PUT' | 'DELETE', path: string, body?: string) => Promise<Answer>;
  readonly close: () => void;
}

/** Access as a member of system:masters, whose requests API priority and fairness never holds back. */
export function clusterAdmin({ kubeconfig, address: host, port, servingCertificate }: ControlPlane): ClusterAdmin {
  const { token } = JSON.parse(readFileSync(kubeconfig, 'utf8')).users[0].user;
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  const agent = new Agent({ keepAlive: true, ca: readFileSync(servingCertificate) });
  const send: ClusterAdmin['send'] = (method, path, body) =>
    new Promise((resolve, reject) => {
      const call = request({ host, port, path, method, agent, headers }, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (chunk: string) => {
          text += chunk;
        });
        response.on('error', reject).on('end', () => resolve({ status: response.statusCode ?? 0, body: text }));
      });
      call.on('error', reject).end(body);
    });
  return { send, close: () => agent.destroy() };
}
