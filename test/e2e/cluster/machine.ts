import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, rmSync } from 'node:fs';

import { join } from 'node:path';
import { ROOT_ENVIRONMENT, requirePrograms } from './debian.ts';
import { type Process, start, waitFor } from './process.ts';

/** The end of the cable at this machine; there is one node at a time, so the name is a lock as well. */
const LINK = 'sideload-node';
const HOST_ADDRESS = '10.213.0.1';
const NODE_ADDRESS = '10.213.0.2';
const CABLE = `${HOST_ADDRESS}/30`;
const POD_SUBNET = '10.213.1.0/24';
const CGROUPS = '/sys/fs/cgroup';

/**
 * A machine for the node: mount, process and network namespaces of its own. When its first process ends, the kernel ends
 * every process in it and takes back its mounts, interfaces and firewall rules, even those of a test run that was killed.
 */
export interface Machine {
  /** This machine, as the node and its pods see it. Nothing beyond it can be reached from them. */
  readonly hostAddress: string;
  readonly nodeAddress: string;
  readonly podSubnet: string;
  /** Starts a program in it. It ends with the machine, not by its own stop(). */
  readonly start: (name: string, command: string, args: readonly string[], logFile: string) => Process;
  /** Runs a program in it to its end; throws when it fails. */
  readonly run: (command: string, args: readonly string[]) => void;
  /** Ends every process in it and waits until nothing is left. */
  readonly stop: () => Promise<void>;
}

/**
 * Files and settings outside `dir` that a node writes: it gets its own.
 * kubelet sets these kernel settings (pkg/kubelet/cm, setupKernelTunables) and fails where it cannot.
 */
const SETUP = `set -eu
for place in /run /var/lib /var/log; do
  own="$1/own$place"
  mkdir -p "$own/upper" "$own/work"
  mount -t overlay overlay -o "lowerdir=$place,upperdir=$own/upper,workdir=$own/work" "$place"
done
for setting in vm/overcommit_memory vm/panic_on_oom kernel/panic kernel/panic_on_oops kernel/keys/root_maxkeys kernel/keys/root_maxbytes; do
  own="$1/own/sys/$setting"
  mkdir -p "\${own%/*}"
  cat "/proc/sys/$setting" > "$own"
  mount --bind "$own" "/proc/sys/$setting"
done
# The settings hide parts of /proc. The kernel mounts no proc for a user namespace unless one is there with nothing hidden.
mkdir -p "$1/own/proc"
mount -t proc proc "$1/own/proc"
: > "$1/machine-ready"
# The first process of a process namespace is the one that reaps orphans.
while :; do sleep 1000 & wait; done`;

/**
 * Starts a machine with its files in `dir`, connected with this one.
 *
 * @throws Error when not root, or while there is another one
 */
export async function startMachine(dir: string): Promise<Machine> {
  const { ip } = requirePrograms({ ip: 'iproute2', iptables: 'iptables' });
  if (existsSync(`/sys/class/net/${LINK}`)) throw new Error(`interface ${LINK} exists: another node runs on this machine`);
  mkdirSync(dir, { recursive: true });
  rmSync(join(dir, 'machine-ready'), { force: true });
  const namespaces = ['--mount', '--pid', '--net', '--fork', '--kill-child', '--mount-proc'];
  // setpriv: the machine ends with the test run, even when that is killed.
  const holder = start(
    'machine',
    'setpriv',
    ['--pdeathsig=KILL', 'unshare', ...namespaces, 'sh', '-c', SETUP, 'sh', dir],
    join(dir, 'machine.log'),
  );
  const stop = async (): Promise<void> => {
    await holder.stop('SIGKILL');
    await waitFor(`${LINK} is gone`, () => !existsSync(`/sys/class/net/${LINK}`));
    removeCgroups();
  };
  try {
    await waitFor('the node’s namespaces', () => existsSync(join(dir, 'machine-ready')), [holder]);
    const first = readFileSync(`/proc/${holder.pid}/task/${holder.pid}/children`, 'utf8').trim();
    const inside = (command: string, args: readonly string[]): string[] => [`--target=${first}`, '--all', '--', command, ...args];
    const run: Machine['run'] = (command, args) => {
      execFileSync('nsenter', inside(command, args), { stdio: ['ignore', 'ignore', 'pipe'], env: ROOT_ENVIRONMENT });
    };
    const here = (...args: string[]): void => {
      execFileSync(ip, args, { stdio: ['ignore', 'ignore', 'pipe'] });
    };
    here('link', 'add', LINK, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', first);
    here('address', 'add', CABLE, 'dev', LINK);
    here('link', 'set', LINK, 'up');
    here('route', 'add', POD_SUBNET, 'via', NODE_ADDRESS);
    run(ip, ['link', 'set', 'lo', 'up']);
    run(ip, ['address', 'add', CABLE.replace(HOST_ADDRESS, NODE_ADDRESS), 'dev', 'eth0']);
    run(ip, ['link', 'set', 'eth0', 'up']);
    run(ip, ['route', 'add', 'default', 'via', HOST_ADDRESS]);
    return {
      hostAddress: HOST_ADDRESS,
      nodeAddress: NODE_ADDRESS,
      podSubnet: POD_SUBNET,
      start: (name, command, args, logFile) => start(name, 'nsenter', inside(command, args), logFile, ROOT_ENVIRONMENT),
      run,
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Removes the cgroups that kubelet made, in each hierarchy, unless there are processes in them: of another kubelet then. */
function removeCgroups(): void {
  const below = (folder: string): string[] =>
    readdirSync(folder, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => join(folder, entry.name));
  const isBusy = (folder: string): boolean => readFileSync(join(folder, 'cgroup.procs'), 'utf8') !== '' || below(folder).some(isBusy);
  const remove = (folder: string): void => {
    below(folder).forEach(remove);
    rmdirSync(folder);
  };
  const hierarchies = existsSync(join(CGROUPS, 'cgroup.controllers')) ? [CGROUPS] : below(CGROUPS);
  for (const folder of hierarchies.map((hierarchy) => join(hierarchy, 'kubepods')))
    if (existsSync(folder) && !isBusy(folder)) remove(folder);
}
