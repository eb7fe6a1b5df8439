/** Words and documents that readers of YAML disagree about. */

import fc from 'fast-check';

const ODD = [
  ...['0o755', '0O7', '0755', '08', '09.5', '1_000', '1__0', '_1', '1_', '0b1', '0b2', '0B1', '0x1F', '0X1f', '0x', '0o8', '+5', '-0', '+'],
  ...['1.', '.5', '-.5', '+.5e3', '1e3', '1E+3', '1e', '1.5.5', '.', '..', '1:30', '190:20:30', '1:30.5', '2001-01-01', '2001-1-1'],
  ...['2001-12-14t21:59:43.10-05:00', '18446744073709551615', '9223372036854775807', '9007199254740993', '-9007199254740993'],
  ...['y', 'Y', 'n', 'N', 'yes', 'Yes', 'YES', 'no', 'on', 'On', 'OFF', 'off', 'true', 'True', 'TRUE', 'tRUE', 'false', 'null', 'Null'],
  ...['NULL', '~', '', '.nan', '.NaN', 'nan', 'inf', '=', '<<', '-', '--', '---', '...', '- x', '-x', '? x', ': x', 'x:', 'x: y', 'x #y'],
  ...['#x', '&a', '*a', '!x', '|', '>', '%x', '@x', '`x', '"x', "'x", "it's", '{x}', '[x]', '{', ',', 'a,b', ' x', 'x ', '\tx', 'x\t'],
  ...['x\ny', 'x\n', '\nx', 'x\n\n', '\u0085', 'x\u2028y', '\u00a0', '\ufeff', '\u0007', 'é', '日本', '🙂', '$(X)', '\\', '\\n', '%s'],
];

/** A word that some reader takes for something else, or that needs quotes. */
export const oddWord = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(...ODD) },
  { weight: 2, arbitrary: fc.stringMatching(/^[-+]?[0-9._:boxEe]{1,6}$/) },
  { weight: 1, arbitrary: fc.string({ maxLength: 6, unit: 'grapheme' }).filter((word) => word.isWellFormed()) },
);

interface Anchored {
  readonly text: string;
  readonly name: string;
}

/** Values that a container may have in several places, each with the member that it is for. */
const SHARED: Readonly<Record<string, readonly string[]>> = {
  command: ['[run, "--x"]', '[run]'],
  env: ['[{name: A, value: "1"}]', '[{name: OPENSHELL_SANDBOX_UID, value: "0"}]'],
  securityContext: ['{capabilities: {drop: [ALL]}}', '{runAsUser: 1000, allowPrivilegeEscalation: false}', '{}'],
  volumeMounts: ['[{name: data, mountPath: /data}]'],
  resources: ['{limits: {cpu: "1"}}'],
  workingDir: ['/work'],
};

/** A value with an anchor at its first place, and an alias at the others. */
function placed(member: string, value: string, count: number): Anchored[] {
  return Array.from({ length: count }, (_, index) => ({ name: member, text: index === 0 ? `&${member} ${value}` : `*${member}` }));
}

/**
 * A document with one labelled pod, or template, and other containers and objects that share values with its sandbox container:
 * by anchors and aliases of members, of whole containers and specs, and by merge keys before and behind the members.
 */
export const sharingDocument: fc.Arbitrary<string> = fc
  .record({
    members: fc.uniqueArray(fc.constantFrom(...Object.keys(SHARED)), { minLength: 1 }),
    picks: fc.array(fc.nat(5), { minLength: 6, maxLength: 6 }),
    agentFirst: fc.boolean(),
    merge: fc.constantFrom('none', 'before', 'behind', 'list'),
    kind: fc.constantFrom('Pod', 'Deployment', 'List'),
    outside: fc.constantFrom('none', 'metadata', 'init', 'spec'),
    style: fc.constantFrom('flow', 'block'),
  })
  .map(({ members, picks, agentFirst, merge, kind, outside, style }) => {
    const values = members.map((member, index) => {
      const choices = SHARED[member] ?? [];
      return placed(member, choices[(picks[index] ?? 0) % choices.length] ?? '', 3);
    });
    const membersOf = (place: number): string[] => values.map((anchored) => `${anchored[place]?.name}: ${anchored[place]?.text}`);
    const base = '&base {image: registry.example/base:1, imagePullPolicy: Always, envFrom: [{secretRef: {name: g}}], command: [base]}';
    const merged = { none: [], before: ['<<: *base'], behind: ['<<: *base'], list: ['<<: [*base, {tty: true, image: y}]'] }[merge];
    const own = (name: string, place: number): string[] => {
      const rest = [`name: ${name}`, ...(merge === 'none' ? ['image: x', 'envFrom: [{secretRef: {name: g}}]'] : []), ...membersOf(place)];
      return merge === 'behind' ? [...rest, ...merged] : [...merged, ...rest];
    };
    const container = (name: string, place: number): string =>
      style === 'flow' ? `{${own(name, place).join(', ')}}` : own(name, place).join('\n    ');
    const [first, second] = agentFirst ? ['agent', 'other'] : ['other', 'agent'];
    const initContainers = outside === 'init' ? `  initContainers:\n  - ${container('fetch', 2)}\n` : '';
    const spec = `  volumes: [{name: data, emptyDir: {}}]\n  containers:\n  - ${container(first ?? '', 0)}\n  - ${container(second ?? '', 1)}\n${initContainers}`;
    const shared = `x-base: ${base}\n`;
    const labels = 'labels: &labels {openshell.ai/sandbox: "true"}';
    const metadata = outside === 'metadata' ? `{name: a, ${labels}, annotations: &labels2 {a: b}}` : `{name: a, ${labels}}`;
    const pod = `metadata: ${metadata}\nspec: &spec\n${spec}`;
    const indent = (text: string, by: string): string => text.replaceAll(/^(?=.)/gm, by);
    switch (kind) {
      case 'Deployment':
        return `apiVersion: apps/v1\nkind: Deployment\n${shared}metadata: {name: web}\nspec:\n  template:\n${indent(pod, '    ')}`;
      case 'List': {
        const again = outside === 'spec' ? '- {apiVersion: v1, kind: Pod, metadata: {name: b}, spec: *spec}\n' : '';
        return `apiVersion: v1\nkind: List\n${shared}metadata: {}\nitems:\n- apiVersion: v1\n  kind: Pod\n${indent(pod, '  ')}${again}`;
      }
      default:
        return `apiVersion: v1\nkind: Pod\n${shared}${pod}`;
    }
  });
