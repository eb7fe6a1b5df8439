/** `openshell-sideload policy`: checks the policy of a sandbox, and makes the ConfigMap that holds it. It needs no cluster. */

import { UsageError } from '../config/config.ts';
import { POLICY_DATA_FILE, POLICY_RULES_FILE } from '../sideload/contract.ts';
import { isConfigMapName } from '../sideload/policy.ts';
import { type Command, type CommandLine, EXIT } from './command.ts';
import { paint } from './diff.ts';
import { readText } from './manifests/files.ts';
import { checkPolicyData } from './policy/check-policy.ts';
import { checkPolicyRules } from './policy/check-rules.ts';
import { configMapText, hashedName, isNamespaceName, MOST_BYTES, policyFiles, sizeOf } from './policy/config-map.ts';
import type { Finding } from './policy/findings.ts';
import { type PolicyText, policyTexts } from './policy/sources.ts';

const OUTPUTS = ['yaml', 'json'] as const;
const NO_RULES = `no rules: give ${POLICY_RULES_FILE} with --rules, or the operator's --policy-rules has to supply them`;

function findingsOf({ kind, text }: PolicyText): Finding[] {
  return kind === 'data' ? checkPolicyData(text) : checkPolicyRules(text);
}

const counted = (count: number, thing: string): string => `${count} ${thing}${count === 1 ? '' : 's'}`;

interface Checked {
  /** A line for each finding, and one for each text. */
  readonly report: string;
  readonly errors: number;
  readonly warnings: number;
}

function checkTexts(texts: readonly PolicyText[], output: NodeJS.WriteStream): Checked {
  let [report, errors, warnings] = ['', 0, 0];
  for (const policyText of texts) {
    const findings = findingsOf(policyText);
    const [file = ''] = policyText.source.split(' ConfigMap ');
    for (const { level, line, message } of findings) {
      const word = paint(level === 'error' ? 'red' : 'yellow', level, output);
      report += `${file}:${policyText.lineInFile(line)}: ${word}: ${message}\n`;
    }
    const count = (wanted: Finding['level']): number => findings.filter(({ level }) => level === wanted).length;
    report += `${policyText.source}: ${counted(count('error'), 'error')}, ${counted(count('warning'), 'warning')}\n`;
    errors += count('error');
    warnings += count('warning');
  }
  return { report, errors, warnings };
}

const display = (file: string): string => (file === '-' ? 'stdin' : file);

function runCheck({ flags, positionals }: CommandLine): number {
  const files = [...positionals.slice(1), ...(flags.get('filename') ?? [])];
  const rules = flags.get('rules')?.[0];
  const problems = [
    ...(files.length === 0 && rules === undefined ? ['a file is missing: policy check FILE, or - for standard input'] : []),
    ...([...files, rules].filter((file) => file === '-').length > 1 ? ['standard input can be read once: give - once'] : []),
    ...onlyFor('configmap', flags, ['hash', 'namespace', 'output']),
  ];
  if (problems.length > 0) throw new UsageError(problems);
  const texts = files.flatMap((file) => policyTexts(display(file), readText(file)));
  if (rules !== undefined) texts.push(rulesText(rules));
  const { report, errors, warnings } = checkTexts(texts, process.stdout);
  process.stdout.write(texts.some(({ kind }) => kind === 'rules') ? report : `${report}${NO_RULES}\n`);
  return errors > 0 || (flags.has('strict') && warnings > 0) ? EXIT.failed : EXIT.done;
}

const rulesText = (file: string): PolicyText => ({
  kind: 'rules',
  source: display(file),
  text: readText(file),
  lineInFile: (line) => line,
});

function onlyFor(action: string, flags: CommandLine['flags'], names: readonly string[]): string[] {
  return names.filter((name) => flags.has(name)).map((name) => `--${name} is for policy ${action}`);
}

function runConfigMap({ flags, positionals }: CommandLine): number {
  const [, name, ...rest] = positionals;
  const [file, ...moreFiles] = flags.get('filename') ?? [];
  const rulesFile = flags.get('rules')?.[0];
  const namespace = flags.get('namespace')?.[0];
  const output = flags.get('output')?.[0] ?? 'yaml';
  const problems = [
    ...(name === undefined || rest.length > 0
      ? [`expected one name, found ${JSON.stringify(positionals.slice(1))}: policy configmap NAME`]
      : []),
    ...(name !== undefined && !isConfigMapName(name)
      ? [
          `${JSON.stringify(name)}: no name of a ConfigMap; use lower-case letters, digits, - and ., at most 253, and begin and end with a letter or digit`,
        ]
      : []),
    ...(file === undefined ? [`-f is missing: -f FILE with the policy's data, or - for standard input`] : []),
    ...(moreFiles.length > 0 ? [`-f is given twice: ${JSON.stringify(file)} and ${JSON.stringify(moreFiles[0])}`] : []),
    ...(file === '-' && rulesFile === '-' ? ['standard input can be read once: give - once'] : []),
    ...(namespace !== undefined && !isNamespaceName(namespace)
      ? [`-n ${JSON.stringify(namespace)}: no name of a namespace; use lower-case letters, digits and -, at most 63`]
      : []),
    ...onlyFor('check', flags, ['strict']),
  ];
  if (problems.length > 0 || name === undefined || file === undefined) throw new UsageError(problems);
  const data: PolicyText = { kind: 'data', source: display(file), text: readText(file), lineInFile: (line) => line };
  const rules = rulesFile === undefined ? undefined : rulesText(rulesFile);

  const { report, errors } = checkTexts(rules ? [data, rules] : [data], process.stderr);
  process.stderr.write(rules ? report : `${report}${NO_RULES}\n`);
  const files = policyFiles(data.text, rules?.text);
  const fullName = flags.has('hash') ? hashedName(name, files) : name;
  const size = sizeOf(files);
  const failures = [
    ...(errors > 0 ? [`${counted(errors, 'error')}: the supervisor would not start, so nothing is printed`] : []),
    ...(size > MOST_BYTES
      ? [`${POLICY_DATA_FILE} and ${POLICY_RULES_FILE} have ${size} bytes: a ConfigMap holds ${MOST_BYTES} (1 MiB); shorten them`]
      : []),
    ...(isConfigMapName(fullName)
      ? []
      : [`${fullName}: with its hash the name has ${fullName.length} characters, at most 253 are possible; shorten it`]),
  ];
  process.stderr.write(failures.map((failure) => `${failure}\n`).join(''));
  if (failures.length > 0) return EXIT.failed;
  process.stdout.write(configMapText(fullName, namespace, files, output as (typeof OUTPUTS)[number]));
  return EXIT.done;
}

async function run(line: CommandLine): Promise<number> {
  switch (line.positionals[0]) {
    case 'check':
      return runCheck(line);
    case 'configmap':
      return runConfigMap(line);
    default:
      throw new UsageError([`policy ${JSON.stringify(line.positionals[0] ?? '')}: expected check or configmap`]);
  }
}

export const policy: Command = {
  summary: 'Checks the policy of a sandbox, and makes the ConfigMap that holds it.',
  usage: 'policy (check FILE… | configmap NAME -f FILE) [--rules FILE] [OPTIONS]',
  description:
    'check reads the policy of a sandbox as a supervisor of OpenShell 0.0.x does: data (YAML), rules (Rego, as far as that is possible without an engine), or ConfigMaps that hold them. It ends with 1 if the supervisor would not start. configmap checks the same and prints a ConfigMap with the keys policy.yaml and policy.rego. It needs no cluster.',
  options: {
    filename: {
      short: 'f',
      value: 'FILE',
      description: "The policy's data, or - for standard input. Repeatable for check.",
      repeatable: true,
    },
    rules: { value: 'FILE', description: "The policy's rules in Rego. check also takes a FILE whose name ends with .rego." },
    strict: { description: 'check ends with 1 for warnings, too.' },
    hash: { description: 'Appends a hash of the content to the name, so that a changed policy is a new ConfigMap.' },
    namespace: { short: 'n', value: 'NAMESPACE', description: 'The namespace of the ConfigMap; without it, none is written.' },
    output: { short: 'o', value: 'FORMAT', values: OUTPUTS, description: 'yaml (default) or json.' },
  },
  examples: [
    ['policy check policy.yaml policy.rego', 'as the supervisor reads them'],
    ['policy configmap sandbox -f policy.yaml --rules policy.rego | kubectl apply -f -', 'the ConfigMap'],
  ],
  takesWords: true,
  run,
};
