import { describe, expect, it } from 'vitest';
import { helpText } from '../src/cli/help.ts';
import { readConfig, UsageError } from '../src/config/config.ts';
import { OPTIONS } from '../src/config/options.ts';

function problemsOf(args: readonly string[], env: Record<string, string> = {}): readonly string[] {
  try {
    readConfig(args, env);
  } catch (error) {
    if (error instanceof UsageError) return error.problems;
    throw error;
  }
  return [];
}

describe('the configuration', () => {
  it('has defaults for everything', () => {
    expect(readConfig([], {})).toEqual({
      sideload: {
        image: 'ghcr.io/nvidia/openshell/supervisor:0.0.110',
        pullPolicy: 'IfNotPresent',
        layout: 'scratch',
        method: 'image-volume',
        allowedMethods: ['image-volume', 'init-container'],
        capabilities: ['SYS_ADMIN', 'NET_ADMIN', 'SYS_PTRACE', 'SYSLOG'],
        appArmorProfile: 'Unconfined',
        env: [{ name: 'OPENSHELL_LOG_LEVEL', value: 'info' }],
        pinnedEnv: [
          { name: 'OPENSHELL_OCI_IMAGE_USER', value: '' },
          { name: 'OPENSHELL_SUPERVISOR_TOPOLOGY', value: '' },
          { name: 'OPENSHELL_NETWORK_ENFORCEMENT_MODE', value: '' },
          { name: 'OPENSHELL_NETWORK_RUNTIME_CAPABILITIES', value: '' },
          { name: 'OPENSHELL_NETWORK_BINARY_IDENTITY', value: 'required' },
          { name: 'OPENSHELL_POLICY_POLL_INTERVAL_SECS', value: '10' },
          { name: 'OPENSHELL_LOG_PUSH_LEVEL', value: 'info' },
        ],
        supervisorArgs: [],
        proxyAuthSecret: undefined,
        policy: { operator: undefined, rules: { from: 'same' }, enforced: false, enforceable: false, missing: 'refuse' },
        unreachableProbes: 'refuse',
        neighbours: 'by-method',
        trustedImages: new Map([
          ['ghcr.io/nvidia/openshell/supervisor', new Set()],
          ['ghcr.io/nvidia/openshell-community/supervisor', new Set()],
        ]),
        missingCommand: 'lookup',
        entrypoint: 'registry',
        inspectImages: 'when-needed',
        pinResolvedImages: true,
        uid: 1000,
        gid: 1000,
        workdir: '/sandbox',
      },
      images: {
        ...{ map: '', hosts: [], plainHttp: [], mirrors: new Map(), authorities: '', credentials: '' },
        pullSecretsRole: 'openshell-sideload-pull-secrets',
      },
      port: 8443,
      adminPort: 8081,
      bindAddress: '::',
      certificates: {
        source: 'local',
        names: expect.objectContaining({ dns: expect.arrayContaining(['openshell-sideload.openshell-system.svc']) }),
      },
      preflight: false,
      countUnguarded: false,
      tracing: { enabled: false, problems: [] },
      ownerEvents: false,
      namespace: 'openshell-system',
      webhookConfiguration: 'openshell-sideload',
      tlsMinVersion: 'TLSv1.3',
      clientAuthorities: '',
      connections: { total: 2000, perPeer: 1000 },
      shutdownDelay: 5,
      logLevel: 'info',
      renamed: [],
      shown: expect.arrayContaining([{ option: '--policy', value: 'none', isDefault: true }]),
      methodOrigin: 'default',
      texts: { pinnedEnv: '', supervisorEnv: '', policy: 'none', policyRules: 'same', policyMode: 'default' },
    });
  });

  it('takes flags before the environment, and the environment before defaults', () => {
    const env = { OPENSHELL_LISTEN_PORT: '1', OPENSHELL_ADMIN_LISTEN_PORT: '2' };
    expect(readConfig(['--port=3'], env)).toMatchObject({ port: 3, adminPort: 2, shutdownDelay: 5 });
  });

  it('always trusts the configured image, by its repository', () => {
    const { trustedImages } = readConfig(
      ['--supervisor-image=mirror.example:5000/a/supervisor:1', '--trusted-supervisor-images=b/c'],
      {},
    ).sideload;
    expect([...trustedImages.keys()]).toEqual(['docker.io/b/c', 'mirror.example:5000/a/supervisor']);
  });

  it('takes certificates from a directory where one is given, else from the cluster it runs in', () => {
    const inCluster = { KUBERNETES_SERVICE_HOST: '10.0.0.1' };
    expect(readConfig(['--tls-cert-dir=/tls'], inCluster).certificates).toEqual({ source: 'directory', dir: '/tls' });
    expect(readConfig(['--webhook-namespace=guard', '--service-name=sideload'], inCluster).certificates).toMatchObject({
      source: 'self-managed',
      names: { dns: expect.arrayContaining(['sideload.guard.svc']) },
      policy: { caLifetime: 8760 * 3_600_000, servingLifetime: 24 * 3_600_000, settleTime: 60_000 },
      objects: { namespace: 'guard', secret: 'openshell-sideload-ca', webhookConfiguration: 'openshell-sideload' },
    });
    expect(readConfig(['--certificates=local'], inCluster).certificates).toMatchObject({ source: 'local' });
  });

  it('asks the API server what it can do inside a cluster, or where it is told to', () => {
    const inCluster = { KUBERNETES_SERVICE_HOST: '10.0.0.1' };
    expect([readConfig([], inCluster).preflight, readConfig(['--preflight=off'], inCluster).preflight]).toEqual([true, false]);
    expect([readConfig([], {}).preflight, readConfig(['--preflight=on'], {}).preflight]).toEqual([false, true]);
  });

  it('collects repeated --supervisor-env, and lines of its variable', () => {
    const expected = [
      { name: 'OPENSHELL_LOG_LEVEL', value: 'info' },
      { name: 'A', value: '1,2=3' },
      { name: 'B', value: '' },
    ];
    expect(readConfig(['--supervisor-env=A=1,2=3', '--supervisor-env', 'B='], {}).sideload.env).toEqual(expected);
    expect(readConfig([], { OPENSHELL_SUPERVISOR_ENV: 'A=1,2=3\nB=\n' }).sideload.env).toEqual(expected);
  });

  it('lets the operator choose the supervisor’s log level, and what is pinned beside what has one right value', () => {
    const { env, pinnedEnv } = readConfig(
      ['--supervisor-env=OPENSHELL_LOG_LEVEL=debug', '--pinned-env=OPENSHELL_LOG_PUSH_LEVEL=warn'],
      {},
    ).sideload;
    expect(env).toEqual([{ name: 'OPENSHELL_LOG_LEVEL', value: 'debug' }]);
    expect(pinnedEnv.filter(({ name }) => name === 'OPENSHELL_LOG_PUSH_LEVEL')).toEqual([
      { name: 'OPENSHELL_LOG_PUSH_LEVEL', value: 'warn' },
    ]);
  });

  const digest = 'a'.repeat(64);
  it.each([
    { why: 'an image by digest, with its rules', flags: [`--policy=image:r/p@sha256:${digest}`], enforceable: true },
    { why: 'an image by tag', flags: ['--policy=image:r/p:1'], enforceable: false },
    { why: 'a ConfigMap', flags: ['--policy=configmap:p'], enforceable: false },
    {
      why: 'an image by digest with rules from a ConfigMap',
      flags: [`--policy=image:r/p@sha256:${digest}`, '--policy-rules=configmap:r'],
      enforceable: false,
    },
    {
      why: 'an image by digest with rules of a supervisor image by tag',
      flags: [`--policy=image:r/p@sha256:${digest}`, '--policy-rules=supervisor:/p.rego'],
      enforceable: false,
    },
    {
      why: 'an image by digest with rules of a supervisor image by digest',
      flags: [`--policy=image:r/p@sha256:${digest}`, '--policy-rules=supervisor:/p.rego', `--supervisor-image=r/s@sha256:${digest}`],
      enforceable: true,
    },
  ])('knows whether a policy can be enforced: $why', ({ flags, enforceable }) => {
    expect(readConfig(flags, {}).sideload.policy.enforceable).toBe(enforceable);
  });

  it('lets pull policy, capabilities and AppArmor profile be empty', () => {
    const args = ['--supervisor-image-pull-policy=', '--supervisor-capabilities=', '--supervisor-apparmor-profile='];
    expect(readConfig(args, {}).sideload).toMatchObject({ pullPolicy: '', capabilities: [], appArmorProfile: '' });
  });

  it.each([
    { args: ['--supervisor-image='], says: '--supervisor-image "": expected an image reference' },
    { args: ['--supervisor-image=a b'], says: '--supervisor-image "a b": expected an image reference' },
    { args: ['--supervisor-image-pull-policy=always'], says: '"always": expected an empty value, Always, IfNotPresent, Never' },
    { args: ['--supervisor-image-layout=flat'], says: '"flat": expected scratch, community' },
    { args: ['--supervisor-sideload-method=volume'], says: '"volume": expected image-volume, init-container, host-path, auto' },
    { args: ['--supervisor-sideload-method=host-path'], says: '--allowed-sideload-methods "image-volume,init-container" lacks it' },
    {
      args: ['--supervisor-sideload-method=auto', '--allowed-sideload-methods=image-volume'],
      says: '--allowed-sideload-methods "image-volume" lacks init-container, which auto falls back to',
    },
    { args: ['--allowed-sideload-methods='], says: 'expected at least one of image-volume, init-container, host-path' },
    { args: ['--supervisor-capabilities=SYS_ADMIN,CAP_SYSLOG'], says: 'expected capability names without CAP_: write SYSLOG' },
    { args: ['--supervisor-capabilities=sys_admin'], says: 'expected capability names such as SYS_ADMIN' },
    { args: ['--supervisor-apparmor-profile=unconfined'], says: 'expected Unconfined, RuntimeDefault, Localhost/NAME or an empty value' },
    { args: ['--supervisor-env=A'], says: '--supervisor-env: value 1: expected NAME=VALUE' },
    { args: ['--supervisor-env=OPENSHELL_SANDBOX_UID=0'], says: 'OPENSHELL_SANDBOX_UID is set by the webhook itself' },
    {
      args: ['--supervisor-env=OPENSHELL_SUPERVISOR_TOPOLOGY=sidecar'],
      says: 'OPENSHELL_SUPERVISOR_TOPOLOGY is set by the webhook itself',
    },
    {
      args: ['--supervisor-image=ghcr.io/nvidia/openshell/supervisor:0.1.0'],
      says: 'is OpenShell 0.1, whose supervisor runs in its own pod',
    },
    { args: ['--supervisor-image=quay.io/opendatahub/odh-openshell-supervisor:v0.2.1-rhaiv.0'], says: 'is OpenShell 0.2' },
    { args: [`--supervisor-image=ghcr.io/nvidia/openshell/supervisor:0.1.0@sha256:${'a'.repeat(64)}`], says: 'is OpenShell 0.1' },
    { args: ['--supervisor-image=ghcr.io/nvidia/openshell/sandbox:0.0.110'], says: 'holds the sandbox program of OpenShell 0.1 and newer' },
    { args: ['--supervisor-env=OPENSHELL_NETWORK_BINARY_IDENTITY=relaxed'], says: 'is pinned by the webhook: use --pinned-env' },
    { args: ['--pinned-env=OPENSHELL_SANDBOX_UID=1'], says: 'OPENSHELL_SANDBOX_UID is set by the webhook itself' },
    { args: ['--pinned-env=OPENSHELL_POLICY_DATA=/x'], says: 'is pinned where a policy is injected: use --policy' },
    { args: ['--pinned-env=OPENSHELL_REQUIRE_RUNTIME_PID_LIMIT='], says: 'counts by its presence, with an empty value too' },
    { args: ['--pinned-env=A=1', '--supervisor-env=A=2'], says: '--supervisor-env A: --pinned-env gives it too' },
    { args: ['--supervisor-arg=--policy-rules=/x'], says: 'expected one word, --upstream-NAME or --upstream-NAME=VALUE' },
    { args: ['--supervisor-arg=--upstream-proxy'], says: '--upstream-proxy needs a value' },
    { args: ['--supervisor-arg=--upstream-proxy=http://a b'], says: '--upstream-proxy: expected one word, without spaces' },
    { args: ['--supervisor-arg=--upstream-proxy=$(A)'], says: '--upstream-proxy: a kubelet would expand $( in it' },
    { args: ['--supervisor-arg=--upstream-proxy-connect-by-hostname=1'], says: 'takes no value' },
    { args: ['--supervisor-arg=--upstream-proxy=a', '--supervisor-arg=--upstream-proxy=b'], says: '--upstream-proxy is given twice' },
    { args: ['--upstream-proxy-auth-secret=proxy'], says: 'expected NAME/KEY' },
    {
      args: ['--upstream-proxy-auth-secret=p/a', '--supervisor-arg=--upstream-proxy=http://x'],
      says: 'the credentials travel in clear text to the proxy: say so with --supervisor-arg=--upstream-proxy-auth-allow-insecure',
    },
    {
      args: ['--supervisor-arg=--upstream-no-proxy=a'],
      says: '--supervisor-arg --upstream-no-proxy: --supervisor-arg=--upstream-proxy=URL',
    },
    {
      args: ['--supervisor-arg=--upstream-proxy=http://x', '--supervisor-arg=--upstream-proxy-auth-allow-insecure'],
      says: 'there are no credentials: set --upstream-proxy-auth-secret=NAME/KEY',
    },
    { args: ['--upstream-proxy-auth-secret=proxy/auth'], says: '--supervisor-arg=--upstream-proxy=URL has to name the proxy' },
    {
      args: ['--upstream-proxy-auth-secret=p/a', '--supervisor-arg=--upstream-proxy=x', '--supervisor-arg=--upstream-proxy-auth-file=/y'],
      says: 'names --upstream-proxy-auth-file too',
    },
    { args: ['--policy=sandbox-policy'], says: '"sandbox-policy": expected configmap:NAME, image:REFERENCE or none' },
    { args: ['--policy=configmap:A_b'], says: 'expected the name of a ConfigMap behind configmap:' },
    { args: ['--policy=image:'], says: 'expected an image reference behind image:' },
    { args: ['--policy-rules=supervisor:policy.rego'], says: 'expected an absolute path behind supervisor:' },
    { args: ['--policy-rules=supervisor:/../x'], says: 'expected an absolute path behind supervisor:' },
    {
      args: ['--policy-rules=supervisor:/p.rego', '--supervisor-sideload-method=init-container'],
      says: "only method image-volume mounts the supervisor's image",
    },
    {
      args: ['--policy=configmap:a', '--supervisor-env=OPENSHELL_POLICY_DATA=/x'],
      says: '--supervisor-env names OPENSHELL_POLICY_RULES or',
    },
    { args: ['--policy-mode=enforced'], says: '--policy has to be image:REPOSITORY@sha256:DIGEST' },
    { args: ['--policy-mode=enforced', '--policy=image:a:1'], says: '--policy has to be image:REPOSITORY@sha256:DIGEST' },
    {
      args: ['--policy-mode=enforced', `--policy=image:a@sha256:${'a'.repeat(64)}`, '--policy-rules=configmap:r'],
      says: '--policy-rules has to be same, or image:REPOSITORY@sha256:DIGEST',
    },
    {
      args: ['--policy-mode=enforced', `--policy=image:a@sha256:${'a'.repeat(64)}`, '--policy-rules=supervisor:/r'],
      says: '--supervisor-image has to name a digest',
    },
    { args: ['--sandbox-workdir=/'], says: 'no system directory' },
    { args: ['--sandbox-workdir=/usr/share/x'], says: 'no system directory' },
    { args: ['--supervisor-env=my-var=x'], says: 'expected NAME=VALUE, the name of letters, digits and _' },
    { args: ['--supervisor-capabilities=ALL'], says: 'expected capability names such as SYS_ADMIN' },
    { args: ['--supervisor-env=A=1', '--supervisor-env=A=2'], says: 'A is given twice' },
    { args: ['--supervisor-env=A=secret:no-key'], says: 'A: expected secret:NAME/KEY, the name of a Secret and one of its keys' },
    { args: ['--pinned-env=A=configmap:Bad/x'], says: 'A: expected configmap:NAME/KEY, the name of a ConfigMap' },
    { args: ['--trusted-supervisor-images=a:1'], says: 'expected repositories, or REPOSITORY@sha256:DIGEST, without tags' },
    { args: ['--supervisor-env=LD_LIBRARY_PATH=/x'], says: 'LD_LIBRARY_PATH loads code into programs that the supervisor runs as root' },
    { args: ['--pinned-env=GLIBC_TUNABLES=x'], says: 'GLIBC_TUNABLES loads code' },
    { args: ['--neighbours=ignore'], says: '"ignore": expected by-method, refuse, warn' },
    { args: ['--missing-command=ignore'], says: '"ignore": expected lookup, shell, refuse' },
    { args: ['--sandbox-uid=0'], says: '"0": expected an id other than root, 1 to 2147483647' },
    { args: ['--sandbox-gid=1e3'], says: '"1e3": expected an id other than root' },
    { args: ['--sandbox-workdir=work'], says: '"work": expected an absolute path' },
    { args: ['--port=65536'], says: '"65536": expected a port, or 0 for any free one, 0 to 65535' },
    { args: ['--certificates=directory'], says: '--certificates "directory": --tls-cert-dir has to name the directory' },
    { args: ['--certificates=local', '--tls-cert-dir=/tls'], says: '--certificates "local": --tls-cert-dir "/tls" belongs to "directory"' },
    { args: ['--serving-cert-lifetime=1d'], says: '"1d": expected a duration such as 90s, 10m or 24h' },
    { args: ['--ca-lifetime=48h'], says: '--serving-cert-lifetime: expected a third of --ca-lifetime at most' },
    { args: ['--serving-cert-lifetime=2m'], says: '--ca-settle-time: expected a third of --serving-cert-lifetime at most' },
    { args: ['--webhook-namespace=Agents'], says: '"Agents": expected the name of a Kubernetes object' },
    { args: ['--bind-address=localhost'], says: '"localhost": expected an IP address' },
    { args: ['--bind-address='], says: '"": expected an IP address' },
    { args: ['--tls-min-version=1.3'], says: '"1.3": expected TLSv1.3, TLSv1.2' },
    { args: ['--shutdown-delay=61'], says: '"61": expected seconds, 0 to 60' },
    { args: ['--log-level=trace'], says: '"trace": expected debug, info, warn, error' },
    { args: ['--prot=1'], says: 'unknown flag --prot: did you mean --port?' },
    { args: ['--port'], says: '--port needs a value: --port=PORT' },
    { args: ['--port=1', '--port=2'], says: '--port is given twice: "1" and "2"' },
    { args: ['run'], says: 'unexpected argument "run": see --help' },
  ])('refuses $args', ({ args, says }) => {
    expect(problemsOf(args).join('\n')).toContain(says);
  });

  it('reports every problem at once, and the variable it came from', () => {
    expect(problemsOf(['--log-level=x', '--nope'], { OPENSHELL_LISTEN_PORT: 'tcp://10.0.0.1:443' })).toEqual([
      'unknown flag --nope: see --help',
      '--port "tcp://10.0.0.1:443" (from OPENSHELL_LISTEN_PORT): expected a port, or 0 for any free one, 0 to 65535',
      '--log-level "x": expected debug, info, warn, error',
    ]);
  });

  it('reports contradictions beside them', () => {
    expect(problemsOf(['--port=x', '--certificates=directory'])).toHaveLength(2);
  });

  it('does not repeat a value that may be a secret', () => {
    expect(problemsOf(['--supervisor-env=TOKEN-s3cret']).join()).not.toContain('s3cret');
    expect(problemsOf(['--supervisor-env', 'A=1', 'TOKEN=s3cret']).join()).not.toContain('s3cret');
  });
});

describe('every option', () => {
  it.each(Object.entries(OPTIONS))('--%s stands in --help, with its variable', (name, option) => {
    expect(helpText(new Map())).toContain(`--${name} `);
    expect(helpText(new Map())).toContain(`environment: ${option.variable}\n`);
  });
});
