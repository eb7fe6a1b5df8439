/**
 * The stand-in for the supervisor, started by itself in namespaces of its own: each row has a message and an exit code of
 * the real one. `OPENSHELL_SUPERVISOR=FILE` puts a real supervisor of version 0.0.110 to the same
 * table, and `OPENSHELL_SILENT_SUPERVISOR=FILE` one of version 0.0.111. A real one sometimes reaps a program that ends at once
 * before it knows it, and says "No child processes": then start the table again.
 */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { requirePrograms } from './cluster/debian.ts';
import { waitFor } from './cluster/process.ts';
import { buildStandIns, librariesOf, POLICY_FILES, WORKLOAD_IMAGE, WORKLOAD_IMAGE_WITHOUT_IP } from './images/stand-ins.ts';
import { printedIn, reportIn, squeezed } from './images/supervisor-log.ts';

const BINARY = '/opt/openshell/bin/openshell-sandbox';
const POLICY = '/opt/openshell/policy';
const real = process.env.OPENSHELL_SUPERVISOR;
const realSilent = process.env.OPENSHELL_SILENT_SUPERVISOR;

const dir = mkdtempSync(join(tmpdir(), 'stand-in-'));
let supervisor: string;
let silentSupervisor: string;
let imageOf: Readonly<Record<string, string>>;

/** The capabilities of a container under containerd, and those that the webhook adds. */
const CAPABILITIES = [
  ...['CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'FSETID', 'KILL', 'SETGID', 'SETUID', 'SETPCAP', 'NET_BIND_SERVICE', 'NET_RAW'],
  ...['SYS_CHROOT', 'MKNOD', 'AUDIT_WRITE', 'SETFCAP', 'SYS_ADMIN', 'NET_ADMIN', 'SYS_PTRACE', 'SYSLOG'],
];
const FILES = { OPENSHELL_POLICY_RULES: `${POLICY}/policy.rego`, OPENSHELL_POLICY_DATA: `${POLICY}/policy.yaml` };
const IDENTITY = { OPENSHELL_SANDBOX_UID: '1000', OPENSHELL_SANDBOX_GID: '1000', OPENSHELL_OCI_IMAGE_USER: '' };
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

interface Run {
  readonly image?: string;
  /** Replaces the variables of a policy in files. */
  readonly policy?: Readonly<Record<string, string>>;
  readonly env?: Readonly<Record<string, string>>;
  readonly options?: readonly string[];
  readonly workdir?: string;
  readonly command?: readonly string[];
  readonly drop?: readonly string[];
  /** Files beside the policy. */
  readonly files?: Readonly<Record<string, string>>;
  /** A line of shell that is run as root before, with `$tree` as the container's root folder. */
  readonly before?: string;
  readonly silent?: boolean;
}

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A container's tree, from the layer of its image. */
const CONTAINER = `set -eu
mount --make-rprivate /
tree="$1/tree"; mkdir -p "$tree"; mount -t tmpfs tmpfs "$tree"
tar -xf "$2" -O layer.tar | tar -x -C "$tree"
for place in proc sys dev; do mkdir -p "$tree/$place"; done
mount -t proc proc "$tree/proc"; mount -t sysfs sysfs "$tree/sys"; mount --rbind /dev "$tree/dev"
install -D "$3" "$tree${BINARY}"
for library in $5; do install -D "$library" "$tree$library"; done
cp -r "$1/policy" "$tree${POLICY}"; chmod 400 "$tree${POLICY}"/*; chmod 755 "$tree${POLICY}"
ip link set lo up
eval "$6"
bounding="$4"; shift 6
exec setpriv --bounding-set="$bounding" chroot "$tree" env -i "$@"`;

let runs = 0;

/** Starts a supervisor as a container would be started. */
function start(run: Run) {
  const own = join(dir, String(runs++));
  const policy = join(own, 'policy');
  mkdirSync(policy, { recursive: true });
  for (const [name, file] of Object.entries(POLICY_FILES)) writeFileSync(join(policy, name), readFileSync(file));
  for (const [name, text] of Object.entries(run.files ?? {})) writeFileSync(join(policy, name), text);
  const image = imageOf[run.image ?? WORKLOAD_IMAGE] ?? '';
  const binary = run.silent ? silentSupervisor : supervisor;
  const bounding = ['-all', ...CAPABILITIES.filter((name) => !run.drop?.includes(name)).map((name) => `+${name.toLowerCase()}`)];
  const env = { PATH, ...IDENTITY, ...(run.policy ?? FILES), ...run.env };
  const child = spawn('unshare', [
    ...['--mount', '--pid', '--net', '--uts', '--ipc', '--fork', '--kill-child', 'sh', '-c', CONTAINER, 'container'],
    ...[own, image, binary, bounding.join(','), librariesOf(binary).join(' '), run.before ?? ''],
    ...Object.entries(env).map(([name, value]) => `${name}=${value}`),
    ...[BINARY, '--workdir', run.workdir ?? '/sandbox', ...(run.options ?? []), '--', ...(run.command ?? ['true'])],
  ]);
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk) => (stdout += chunk));
  child.stderr.on('data', (chunk) => (stderr += chunk));
  // The pipes are closed too: the output is complete.
  const ended = once(child, 'close').then(([code]): Ended => ({ code, stdout, stderr }));
  return { child, stdout: () => stdout, stderr: () => stderr, ended };
}

const run = (how: Run): Promise<Ended> => start(how).ended;

beforeAll(() => {
  requirePrograms({ unshare: 'util-linux', setpriv: 'util-linux', ip: 'iproute2' });
  const standIns = buildStandIns();
  supervisor = real ?? standIns.supervisor;
  imageOf = standIns.images;
  silentSupervisor = realSilent ?? standIns.silentSupervisor;
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const shell = (text: string): string[] => ['sh', '-c', text];
const GATEWAY = { OPENSHELL_SANDBOX_ID: 'sb-1', OPENSHELL_ENDPOINT: 'http://127.0.0.1:7777' };
const NO_NETWORK = 'Network namespace creation failed and proxy mode requires isolation.';

const POLICY_OF_0_0_110 = readFileSync(POLICY_FILES['policy.rego'], 'utf8').replace(/^policy_dns_.*$/m, '');

interface Failure extends Run {
  readonly name: string;
  readonly code: number;
  readonly message: string;
  /** The real one's other outcome: it reaps its own child in a race, and panics if it loses. */
  readonly instead?: { readonly code: number; readonly message: string };
}

const PANIC = { code: 101, message: 'wait() should either return Ok or panic' };
const EINVAL = { code: 1, message: 'Error: × Invalid argument (os error 22)' };

const failures: readonly Failure[] = [
  { name: 'no policy', policy: {}, code: 1, message: 'Error: × Sandbox policy required. Provide one of:' },
  {
    name: 'rules without data',
    policy: { OPENSHELL_POLICY_RULES: FILES.OPENSHELL_POLICY_RULES },
    code: 1,
    message: 'Error: × Sandbox policy required. Provide one of:',
  },
  {
    name: 'variables that are set and empty',
    policy: { OPENSHELL_POLICY_RULES: '', OPENSHELL_POLICY_DATA: '' },
    code: 1,
    message: 'Error: × failed to read YAML data from : No such file or directory (os error 2)',
  },
  {
    name: 'a file of data that is missing',
    env: { OPENSHELL_POLICY_DATA: '/nosuch' },
    code: 1,
    message: 'Error: × failed to read YAML data from /nosuch: No such file or directory (os error 2)',
  },
  {
    name: 'a file of rules that is missing',
    env: { OPENSHELL_POLICY_RULES: '/nosuch' },
    code: 1,
    message: 'Error: × Failed to read /nosuch. No such file or directory (os error 2)',
  },
  { name: 'bad YAML', files: { 'policy.yaml': 'a: [1' }, code: 1, message: 'Error: × failed to parse YAML data:' },
  {
    name: 'data that is a string',
    files: { 'policy.yaml': 'hello' },
    code: 1,
    message: 'Error: × failed to parse network middleware policy: invalid type: string "hello",',
  },
  {
    name: 'bad Rego',
    files: { 'policy.rego': 'package openshell.sandbox\n\nallow := {\n' },
    code: 1,
    message: `--> ${POLICY}/policy.rego:4:1 | 4 | | ^ error: expecting expression`,
  },
  {
    name: 'Rego without a package',
    files: { 'policy.rego': 'allow := true\n' },
    code: 1,
    message: 'error: expecting `package` Missing package declaration.',
  },
  {
    name: 'Rego of another package',
    files: { 'policy.rego': 'package other\n\nfilesystem_policy := data.filesystem_policy\n' },
    code: 1,
    message: 'Error: × not a valid rule path',
  },
  {
    name: 'Rego without the rules that are asked for at start',
    files: { 'policy.rego': 'package openshell.sandbox\n\nallow := true\n' },
    code: 1,
    message: 'Error: × not a valid rule path',
  },
  {
    name: 'Rego without the rule that 0.0.111 asks for besides',
    silent: true,
    files: { 'policy.rego': POLICY_OF_0_0_110 },
    code: 1,
    message: 'Error: × not a valid rule path',
  },
  {
    name: 'a gateway without a token, after five attempts',
    policy: GATEWAY,
    before: 'chroot "$tree" httpd -p 127.0.0.1:7777',
    code: 1,
    message: 'Error: × Policy fetch failed after 5 attempts: no sandbox token source available — set one of OPENSHELL_SANDBOX_TOKEN,',
  },
  {
    name: 'a gateway at https:// without TLS files',
    policy: { ...GATEWAY, OPENSHELL_ENDPOINT: 'https://127.0.0.1:7777' },
    code: 1,
    message: 'Error: × Policy fetch failed after 5 attempts: OPENSHELL_TLS_CA is required',
  },
  {
    name: 'a gateway that nobody reaches',
    policy: { ...GATEWAY, OPENSHELL_SANDBOX_TOKEN: 'secret' },
    code: 1,
    message: 'Error: × Policy fetch failed after 5 attempts: failed to connect to OpenShell server',
  },
  {
    name: 'a gateway without the sandbox id',
    policy: { OPENSHELL_ENDPOINT: 'http://127.0.0.1:7777' },
    code: 1,
    message: 'Error: × Sandbox policy required. Provide one of:',
  },
  {
    name: 'no ip in the image',
    image: WORKLOAD_IMAGE_WITHOUT_IP,
    code: 1,
    message: 'Error: trusted ip helper not found; checked /usr/sbin/ip, /sbin/ip, /usr/bin/ip, /bin/ip',
  },
  {
    name: 'no nsenter in the image',
    before: 'rm "$tree/usr/bin/nsenter"',
    code: 1,
    message: 'Error: trusted nsenter helper not found; checked /usr/bin/nsenter, /bin/nsenter, /usr/sbin/nsenter, /sbin/nsenter',
  },
  {
    name: 'a read-only root file system',
    before: 'mount -o remount,ro "$tree"',
    code: 1,
    message: 'failed: mkdir /run/netns failed: Read-only file system',
  },
  {
    name: 'a read-only root file system with a writable /run',
    before: 'mkdir -p "$tree/run"; mount -t tmpfs tmpfs "$tree/run"; mount -o remount,ro "$tree"',
    code: 1,
    message: 'Error: × Read-only file system (os error 30)',
  },
  {
    name: 'another supervisor in the same network',
    before: 'ip addr add 10.200.0.1/24 dev lo; chroot "$tree" httpd -p 10.200.0.1:3128',
    code: 1,
    message: 'Error: × Address already in use (os error 98)',
  },
  {
    name: 'a working folder that is missing',
    workdir: '/nosuch',
    code: 1,
    message: 'Error: × No such file or directory (os error 2)',
    instead: PANIC,
  },
  {
    name: 'a program that is missing',
    command: ['/nosuch'],
    code: 1,
    message: 'Error: × No such file or directory (os error 2)',
    instead: PANIC,
  },
  {
    name: 'a program that PATH has not',
    command: ['nosuch'],
    code: 1,
    message: 'Error: × No such file or directory (os error 2)',
    instead: PANIC,
  },
  {
    name: 'a file that is no program',
    command: ['/etc/passwd'],
    code: 1,
    message: 'Error: × Permission denied (os error 13)',
    instead: PANIC,
  },
  { name: 'drop SETPCAP', drop: ['SETPCAP'], ...PANIC, instead: EINVAL },
  { name: 'drop SETUID, SETGID', drop: ['SETUID', 'SETGID'], ...EINVAL, instead: PANIC },
  {
    name: 'drop CHOWN, FOWNER, DAC_OVERRIDE',
    drop: ['CHOWN', 'FOWNER', 'DAC_OVERRIDE'],
    code: 1,
    message: 'Error: × EPERM: Operation not permitted',
  },
  { name: 'no SYS_ADMIN', drop: ['SYS_ADMIN'], code: 1, message: `Error: × ${NO_NETWORK}` },
  { name: 'no NET_ADMIN', drop: ['NET_ADMIN'], code: 1, message: 'RTNETLINK answers: Operation not permitted' },
  { name: 'an unknown option', options: ['--nonsense'], code: 2, message: "error: unexpected argument '--nonsense' found" },
  {
    name: 'an option that comes twice',
    options: ['--workdir', '/tmp'],
    code: 2,
    message: "error: the argument '--workdir <WORKDIR>' cannot be used multiple times",
  },
  {
    name: 'a user without a group',
    env: { OPENSHELL_SANDBOX_GID: '' },
    code: 1,
    message: 'Error: × OPENSHELL_SANDBOX_UID and OPENSHELL_SANDBOX_GID must be supplied together',
  },
  {
    name: 'the user root',
    env: { OPENSHELL_SANDBOX_UID: '0' },
    code: 1,
    message: 'Error: × driver UID/GID must be numeric identities in range [1, 4294967294]',
  },
  {
    name: "the image's user beside the driver's",
    env: { OPENSHELL_OCI_IMAGE_USER: 'somebody' },
    code: 1,
    message: 'Error: × OPENSHELL_OCI_IMAGE_USER conflicts with non-empty OPENSHELL_SANDBOX_UID/OPENSHELL_SANDBOX_GID driver identity',
  },
  {
    name: "the sidecar's network mode",
    env: { OPENSHELL_NETWORK_ENFORCEMENT_MODE: 'sidecar-nftables' },
    code: 1,
    message: 'Error: × OPENSHELL_SIDECAR_CONTROL_SOCKET is required for sidecar topology',
  },
  {
    name: 'credentials for a proxy without the acknowledgement',
    options: ['--upstream-proxy=http://proxy:3128', '--upstream-proxy-auth-file=/nosuch'],
    code: 1,
    message: '--upstream-proxy-auth-file sends the credential as cleartext Basic auth over the plain-TCP proxy connection;',
  },
  {
    name: 'credentials for a proxy that are missing',
    options: ['--upstream-proxy=http://proxy:3128', '--upstream-proxy-auth-file=/nosuch', '--upstream-proxy-auth-allow-insecure'],
    code: 1,
    message: "failed to open proxy auth file '/nosuch': No such file or directory (os error 2)",
  },
  {
    name: 'exceptions for a proxy that is not given',
    options: ['--upstream-no-proxy=internal'],
    code: 1,
    message: '--upstream-no-proxy is set but no upstream proxy is configured',
  },
];

describe('does not start', () => {
  it.concurrent.for(failures)('$name', async ({ code, message, instead, ...how }, { expect }) => {
    const ended = await run({ ...how, command: how.command ?? ['echo', 'ran'] });
    const expected = real && ended.code === instead?.code ? instead : { code, message };
    expect(squeezed(ended.stderr)).toContain(squeezed(expected.message));
    expect(ended).toMatchObject({ code: expected.code, stdout: '' });
  });
});

describe('runs the program', () => {
  it.concurrent.for<[string, number, Run]>([
    ['exit code 0', 0, {}],
    ['exit code 7', 7, { command: shell('exit 7') }],
    ['a signal', 137, { command: shell('kill -9 $$') }],
    ['drop NET_RAW, KILL', 0, { drop: ['NET_RAW', 'KILL'] }],
    ['no SYS_PTRACE, no SYSLOG', 0, { drop: ['SYS_PTRACE', 'SYSLOG'] }],
    ['a corporate proxy', 0, { options: ['--upstream-proxy=http://proxy:3128', '--upstream-no-proxy=internal'] }],
  ])('%s', async ([, code, how], { expect }) => {
    const { command = ['true'] } = how;
    const ended = await run({ ...how, command: shell('echo started; exec "$@"').concat('sh', command) });
    expect(ended, ended.stderr).toMatchObject({ code, stdout: 'started\n' });
  });

  it.concurrent('under the identity of the variables, without capabilities', async ({ expect }) => {
    const { stdout } = await run({
      env: { OPENSHELL_SANDBOX_UID: '4711', OPENSHELL_SANDBOX_GID: '4712' },
      command: shell('grep -E "^(Uid|Gid|Cap...|NoNewPrivs|Seccomp):" /proc/self/status; grep sandbox /etc/passwd /etc/group'),
    });
    const none = '\t0000000000000000';
    expect(stdout.trim().split('\n')).toEqual([
      'Uid:\t4711\t4711\t4711\t4711',
      'Gid:\t4712\t4712\t4712\t4712',
      ...['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'].map((name) => `${name}:${none}`),
      'NoNewPrivs:\t1',
      'Seccomp:\t2',
      '/etc/passwd:sandbox:x:4711:4712::/sandbox:/bin/sh',
      '/etc/group:sandbox:x:4712:',
    ]);
  });

  it.concurrent('as root where the topology is the sidecar', async ({ expect }) => {
    const { stdout } = await run({
      before: 'mkdir "$tree/sandbox"',
      env: { OPENSHELL_SUPERVISOR_TOPOLOGY: 'sidecar' },
      command: ['id', '-u'],
    });
    expect(stdout).toBe('0\n');
  });

  it.concurrent('in a network of its own, which only the proxy leads out of', async ({ expect }) => {
    const { stdout, stderr } = await run({
      env: { OPENSHELL_LOG_LEVEL: 'info' },
      command: shell(
        'ip -o -4 addr | grep -v " lo "; ip route; printf "GET http://example.invalid/ HTTP/1.1\\r\\nHost: example.invalid\\r\\n\\r\\n" | nc 10.200.0.1 3128',
      ),
    });
    expect(stdout).toMatch(/^\d+: veth-s-[0-9a-f]{8} +inet 10\.200\.0\.2\/24 /);
    expect(stdout).toContain('default via 10.200.0.1 dev veth-s-');
    expect(stdout).toContain('403 Forbidden');
    expect(stderr).toMatch(/ OCSF HTTP:GET \[MED\] DENIED \S+ -> GET http:\/\/example\.invalid\/ \[policy:-/);
  });

  const WRITES = shell('for place in /sandbox /tmp /open /app /usr; do touch $place/file 2>/dev/null && echo $place; done; true');
  const OPEN = 'mkdir -m 777 "$tree/open"; mkdir "$tree/app"';
  it.concurrent.for<[string, string[]]>([
    ['/sandbox', ['/sandbox', '/tmp']],
    ['/', ['/sandbox', '/tmp', '/open']],
    ['/app', ['/sandbox', '/tmp']],
  ])('with the working folder %s, which writes to %j', async ([workdir, places], { expect }) => {
    const { stdout, stderr } = await run({ workdir, before: OPEN, command: WRITES });
    expect(stdout.trim().split('\n'), stderr).toEqual(places);
  });

  it.concurrent('which cannot read the policy', async ({ expect }) => {
    const { stdout } = await run({ command: shell(`cat ${FILES.OPENSHELL_POLICY_DATA} 2>&1; true`) });
    expect(stdout).toContain('Permission denied');
  });

  it.concurrent('with variables that lead to the proxy, and without the supervisor’s own', async ({ expect }) => {
    const { stdout } = await run({
      env: { HOME: '/root', USER: 'me', TERM: 'xterm', OPENSHELL_SANDBOX_TOKEN: 'secret', HTTPS_PROXY: 'http://elsewhere' },
      command: ['env'],
    });
    const variables = stdout.split('\n');
    expect(variables).toEqual(
      expect.arrayContaining(['HTTPS_PROXY=http://10.200.0.1:3128', 'OPENSHELL_SANDBOX=1', 'HOME=/root', 'USER=me', 'TERM=xterm']),
    );
    expect(stdout).not.toMatch(/^OPENSHELL_(SANDBOX_(UID|GID|TOKEN)|OCI_IMAGE_USER)=/m);
  });

  it.concurrent('with an empty log by default', async ({ expect }) => {
    const { stdout, stderr } = await run({ command: ['echo', 'ran'] });
    expect(stdout).toBe('ran\n');
    expect(stderr).not.toMatch(/ (OCSF|INFO) /);
  });

  it.concurrent('with its steps in the log where that is asked for', async ({ expect }) => {
    const { stderr } = await run({ env: { OPENSHELL_LOG_LEVEL: 'info' }, command: ['echo', 'ran'] });
    const steps = ['Starting sandbox', 'CONFIG:LOADING', 'CONFIG:CREATED', 'NET:LISTEN [INFO] 10.200.0.1:3128', 'PROC:LAUNCH [INFO] echo('];
    const places = [...steps, 'PROC:TERMINATE [INFO] unknown(0) [exit:0]'].map((step) => stderr.indexOf(step));
    expect(places).not.toContain(-1);
    expect(places).toEqual(places.toSorted((a, b) => a - b));
  });

  const STOPS = shell('trap "echo got it; exit 5" TERM; echo up; while :; do sleep 0.1; done');
  /** Starts a program that ends with SIGTERM, and sends that to the supervisor. */
  async function stop(how: Run) {
    const started = start({ ...how, command: STOPS });
    await waitFor('the program', () => started.stdout() === 'up\n');
    const { pid } = started.child;
    const [supervisorPid] = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ');
    process.kill(Number(supervisorPid), 'SIGTERM');
    return started;
  }

  it.concurrent('and passes SIGTERM on', async ({ expect }) => {
    expect(await (await stop({})).ended).toMatchObject({ code: 5, stdout: 'up\ngot it\n' });
  });

  it.concurrent('and cannot pass SIGTERM on with drop KILL', async ({ expect }) => {
    const { child, stderr, ended } = await stop({ drop: ['KILL'] });
    await waitFor('a message', () => stderr().includes('failed to signal entrypoint process'));
    child.kill('SIGKILL');
    expect(await ended).toMatchObject({ code: null, stdout: 'up\n' });
  });

  it.runIf(!real).concurrent('after a report for the tests', async ({ expect }) => {
    const { stdout, stderr } = await run({ env: { OPENSHELL_LOG_LEVEL: 'info' }, command: ['echo', 'ran'] });
    const report = reportIn(stderr);
    expect(report).toMatchObject({ supervisor: BINARY, line: '0.0.110', uid: 0, pid: 1, workdir: '/sandbox', readOnly: false });
    expect(report?.argv).toEqual([BINARY, '--workdir', '/sandbox', '--', 'echo', 'ran']);
    expect(printedIn(stderr + stdout)).toEqual(['ran']);
  });
});

describe('the silent version', () => {
  it.concurrent('keeps the program’s output to itself, and replaces HOME, USER and TERM', async ({ expect }) => {
    const ended = await run({
      silent: true,
      env: { HOME: '/root', USER: 'me', TERM: 'xterm', OPENSHELL_LOG_LEVEL: 'info' },
      command: shell(
        'echo "$HOME $USER $TERM" | tee /sandbox/seen; echo on-stderr >&2; [ "$HOME $USER $TERM" = "/sandbox 1000 dumb" ] && exit 3',
      ),
    });
    expect(ended, ended.stderr).toMatchObject({ code: 3, stdout: '' });
    expect(ended.stderr).not.toMatch(/^on-stderr$/m);
    expect(ended.stderr).toContain('PROC:LAUNCH [INFO] sh(');
  });
});
