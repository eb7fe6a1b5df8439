import { join } from 'node:path';
import type { ControlPlane } from './control-plane.ts';
import { type Process, start } from './process.ts';

/** Starts a program: on this machine, or in a machine of its own. */
type Start = (name: string, command: string, args: readonly string[], logFile: string) => Process;

/** What both need to work alone for one control plane. */
const common = ({ kubeconfig }: ControlPlane): string[] => [`--kubeconfig=${kubeconfig}`, '--leader-elect=false', '--secure-port=0'];

/**
 * Starts kube-controller-manager: the pods of Deployments and their like, service accounts, the status of quotas.
 *
 * @param command the program's path
 * @param dir where its log goes
 */
export function startControllerManager(command: string, controlPlane: ControlPlane, dir: string, run: Start = start): Process {
  const signing = [
    `--service-account-private-key-file=${controlPlane.serviceAccountKey}`,
    // What becomes of it: the ConfigMap kube-root-ca.crt, which is mounted into every pod.
    `--root-ca-file=${controlPlane.servingCertificate}`,
  ];
  return run('kube-controller-manager', command, [...common(controlPlane), ...signing], join(dir, 'kube-controller-manager.log'));
}

/**
 * Starts kube-scheduler.
 *
 * @param command the program's path
 * @param dir where its log goes
 */
export function startScheduler(command: string, controlPlane: ControlPlane, dir: string, run: Start): Process {
  return run('kube-scheduler', command, common(controlPlane), join(dir, 'kube-scheduler.log'));
}
