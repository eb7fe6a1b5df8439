/** Where the texts of a policy are: files, and ConfigMaps of manifests. Pure: it is given what the files hold. */

import { isScalar, LineCounter, parseAllDocuments, Scalar } from 'yaml';
import { UsageError } from '../../config/config.ts';
import { POLICY_DATA_FILE, POLICY_RULES_FILE } from '../../sideload/contract.ts';
import { isMap } from './findings.ts';

/** One text of a policy. */
export interface PolicyText {
  readonly kind: 'data' | 'rules';
  /** For messages: the file, and of a manifest the ConfigMap and its key. */
  readonly source: string;
  readonly text: string;
  /** The line of the file on which a line of the text is. */
  readonly lineInFile: (line: number) => number;
}

const same = (line: number): number => line;

/**
 * Finds the policy texts of a file: a policy.yaml or a policy.rego as it is, or each ConfigMap with such a key.
 *
 * @param file its name, for messages; a name that ends with .rego is one of rules
 * @throws UsageError when it holds Kubernetes objects but no policy
 */
export function policyTexts(file: string, text: string): PolicyText[] {
  if (file.endsWith('.rego')) return [{ kind: 'rules', source: file, text, lineInFile: same }];
  const lines = new LineCounter();
  const parsed = parseAllDocuments(text, { uniqueKeys: false, lineCounter: lines, prettyErrors: false });
  const documents = 'empty' in parsed ? [] : parsed;
  // Only a map with both members is an object; a policy has neither.
  const isObject = documents.some((document) => document.has('apiVersion') && document.has('kind'));
  if (!isObject) return [{ kind: 'data', source: file, text, lineInFile: same }];
  const broken = documents.flatMap(({ errors }) => errors)[0];
  if (broken) throw new UsageError([`${file}:${lines.linePos(broken.pos[0]).line}: the manifest is not valid YAML: ${broken.message}`]);
  const texts = documents.flatMap((document) => {
    if (document.get('kind') !== 'ConfigMap') return [];
    const metadata = (document.toJS() as { metadata?: unknown }).metadata;
    const name = isMap(metadata) ? [metadata.namespace, metadata.name].filter((part) => part !== undefined).join('/') : '(no name)';
    return [POLICY_DATA_FILE, POLICY_RULES_FILE].flatMap((key): PolicyText[] => {
      const node = document.getIn(['data', key], true);
      if (!isScalar(node) || typeof node.value !== 'string') return [];
      const start = lines.linePos(node.range?.[0] ?? 0).line;
      const isBlock = node.type === Scalar.BLOCK_LITERAL;
      const kind = key === POLICY_DATA_FILE ? 'data' : 'rules';
      return [
        { kind, source: `${file} ConfigMap ${name} ${key}`, text: node.value, lineInFile: (line) => (isBlock ? start + line : start) },
      ];
    });
  });
  if (texts.length === 0) throw new UsageError([`${file}: no ConfigMap with ${POLICY_DATA_FILE} or ${POLICY_RULES_FILE} below data`]);
  return texts;
}
