/** A cgroup: what holds a container to its CPU and its memory, without a container. */

import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const CGROUPS = '/sys/fs/cgroup';
/** kubelet's CPUCFSQuotaPeriod, by default. */
const PERIOD_MICROSECONDS = 100_000;

export interface Cgroup {
  /** What stands in front of a command line, so that the program starts inside. */
  readonly inside: readonly string[];
  /** Moves a process into it, with all its threads. */
  readonly add: (pid: number) => void;
  /** From then on all in it have this much CPU together: 100 is a tenth of a core. */
  readonly limitCpu: (millicores: number) => void;
  /** Seconds for which one of its threads had work and no CPU was left of the limit, added up over the cores. */
  readonly throttledSeconds: () => number;
  /** Takes it away, once every process in it has ended. */
  readonly remove: () => void;
}

/** The files of one version of cgroups. */
interface Version {
  /** A folder for each controller, or one for all. */
  readonly folders: readonly string[];
  readonly memory: readonly [file: string, value: (bytes: number) => string];
  readonly cpu: readonly (readonly [file: string, value: (quota: number) => string])[];
  readonly throttled: { readonly pattern: RegExp; readonly perSecond: number };
}

const whole = (value: number): string => String(value);

const UNIFIED: Version = {
  folders: ['.'],
  memory: ['memory.max', whole],
  cpu: [['cpu.max', (quota) => `${quota} ${PERIOD_MICROSECONDS}`]],
  throttled: { pattern: /^throttled_usec (\d+)$/m, perSecond: 1e6 },
};
const LEGACY: Version = {
  folders: ['cpu', 'memory'],
  memory: ['memory.limit_in_bytes', whole],
  cpu: [
    ['cpu.cfs_period_us', () => String(PERIOD_MICROSECONDS)],
    ['cpu.cfs_quota_us', whole],
  ],
  throttled: { pattern: /^throttled_time (\d+)$/m, perSecond: 1e9 },
};

/**
 * Makes a cgroup, of version 1 or 2, whichever this machine has. It limits CPU in the way that kubelet does
 * (pkg/kubelet/cm/helpers_linux.go, MilliCPUToQuota).
 *
 * @param name there is one of a name at a time
 * @param mebibytes the limit of its memory; undefined for none
 * @throws Error when not root, or when this machine lets nobody make one
 */
export function makeCgroup(name: string, mebibytes?: number): Cgroup {
  const isUnified = existsSync(join(CGROUPS, 'cgroup.controllers'));
  const { folders, memory, cpu, throttled } = isUnified ? UNIFIED : LEGACY;
  const all = folders.map((folder) => join(CGROUPS, folder, name));
  const [cpuFolder = ''] = all;
  const procs = all.map((folder) => join(folder, 'cgroup.procs'));
  try {
    if (isUnified) writeFileSync(join(CGROUPS, 'cgroup.subtree_control'), '+cpu +memory');
    for (const folder of all) mkdirSync(folder, { recursive: true });
    const [file, value] = memory;
    if (mebibytes !== undefined) writeFileSync(join(all.at(-1) ?? '', file), value(mebibytes * 2 ** 20));
  } catch (error) {
    throw new Error(`no cgroup can be made below ${CGROUPS}, which takes root and its controllers "cpu" and "memory": ${error}`);
  }
  return {
    inside: ['sh', '-c', `for procs in ${procs.join(' ')}; do echo $$ > "$procs"; done; exec "$@"`, 'sh'],
    add: (pid) => {
      for (const file of procs) writeFileSync(file, String(pid));
    },
    limitCpu: (millicores) => {
      for (const [file, value] of cpu) writeFileSync(join(cpuFolder, file), value((millicores * PERIOD_MICROSECONDS) / 1000));
    },
    throttledSeconds: () => Number(throttled.pattern.exec(readFileSync(join(cpuFolder, 'cpu.stat'), 'utf8'))?.[1]) / throttled.perSecond,
    remove: () => {
      for (const folder of all) rmdirSync(folder);
    },
  };
}
