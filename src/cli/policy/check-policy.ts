/**
 * Checks policy data as the supervisor of 0.0.110 reads it in file mode. Pure.
 *
 * Rules are from NVIDIA/OpenShell at v0.0.110: `preprocess_yaml_data` and `query_sandbox_config` in
 * crates/openshell-supervisor-network/src/opa.rs, the typed part in crates/openshell-policy/src/middleware.rs,
 * crates/openshell-supervisor-process/src/sandbox/linux/landlock.rs.
 */

import { type Document, isMap as isMapNode, isScalar, isSeq, LineCounter, type Node, parseAllDocuments, visit } from 'yaml';
import { checkMiddlewares } from './check-middlewares.ts';
import { checkNetwork } from './check-network.ts';
import { type Finding, Findings, isMap, type Path } from './findings.ts';

const SECTIONS = ['version', 'filesystem_policy', 'landlock', 'process', 'network_policies', 'network_middlewares'];

/** What the supervisor adds to every policy where the image has it (openshell-sandbox/src/lib.rs, PROXY_BASELINE_…). */
const ADDED = 'to read /usr, /lib, /etc, /app, /var/log, /proc and /dev/urandom, to write /tmp and the working directory';

/**
 * Checks the text of a policy.yaml.
 *
 * @param text YAML, as the supervisor would read it
 * @returns errors (it would not start) and warnings, in the order of their lines; empty when there is nothing to say
 */
export function checkPolicyData(text: string): Finding[] {
  const lines = new LineCounter();
  // As serde_yml reads it: YAML 1.2 words (`yes` is text), no merge keys, of equal keys the last one.
  const documents = parseAllDocuments(text, { version: '1.2', merge: false, uniqueKeys: false, lineCounter: lines, prettyErrors: false });
  const list = 'empty' in documents ? [] : documents;
  const at = (offset: number): number => Math.max(lines.linePos(offset).line, 1);
  for (const document of list) {
    const [problem] = document.errors;
    if (problem) return [{ level: 'error', line: at(problem.pos[0]), message: `the file is not valid YAML: ${problem.message}` }];
  }
  const [first, second] = list;
  if (second) {
    const line = at(second.range[0]);
    return [{ level: 'error', line, message: 'the file holds several YAML documents: keep one, without the separator ---' }];
  }
  const findings = new Findings((path) => (first ? at(offsetOf(first as Document, path)) : 1));
  if (first) warnOfEqualKeys(first as Document, findings, at);
  let value: unknown;
  try {
    value = first?.toJS() ?? null;
  } catch (error) {
    return [{ level: 'error', line: 1, message: `the file cannot be read: ${(error as Error).message}. Write the aliases out` }];
  }
  checkSections(value, findings);
  return findings.list.toSorted((a, b) => a.line - b.line);
}

/** Where a path is in the text: its key, or the nearest one above it that is there. */
function offsetOf(document: Document, path: Path): number {
  let node: unknown = document.contents;
  let offset = (node as Node | null)?.range?.[0] ?? 0;
  for (const member of path) {
    if (isMapNode(node)) {
      const pair = node.items.findLast(({ key }) => isScalar(key) && String(key.value) === String(member));
      if (!pair) break;
      offset = (pair.key as Node).range?.[0] ?? offset;
      node = pair.value;
    } else if (isSeq(node) && typeof member === 'number') {
      node = node.items[member];
      offset = (node as Node | undefined)?.range?.[0] ?? offset;
    } else break;
  }
  return offset;
}

function warnOfEqualKeys(document: Document, findings: Findings, at: (offset: number) => number): void {
  visit(document, {
    Map: (_key, map) => {
      const seen = new Set<string>();
      for (const { key } of map.items) {
        if (!isScalar(key)) continue;
        const name = String(key.value);
        if (seen.has(name)) {
          const line = at(key.range?.[0] ?? 0);
          findings.list.push({
            level: 'warning',
            line,
            message: `${name}: the key is there twice, and only the last one counts; keep one`,
          });
        }
        seen.add(name);
      }
    },
  });
}

function checkSections(policy: unknown, findings: Findings): void {
  if (!isMap(policy)) {
    findings.error([], policy, `expected a map with the sections ${SECTIONS.slice(1, 5).join(', ')}`);
    return;
  }
  findings.unknownMembers([], policy, SECTIONS, 'the rules can read it, the supervisor ignores it');
  checkFilesystem(policy.filesystem_policy, findings);
  checkLandlock(policy.landlock, findings);
  checkProcess(policy.process, findings);
  checkNetwork(policy.network_policies, findings);
  checkMiddlewares(policy.network_middlewares, findings);
}

function checkFilesystem(value: unknown, findings: Findings): void {
  const path = ['filesystem_policy'];
  if (value === undefined || value === null) {
    findings.warning(path, undefined, `missing: the sandbox gets only what the supervisor adds (${ADDED}). List the paths it needs`);
    return;
  }
  if (!isMap(value)) {
    findings.warning(path, value, 'expected a map; the supervisor reads no paths from it. Write read_only and read_write');
    return;
  }
  findings.unknownMembers(path, value, ['include_workdir', 'read_only', 'read_write']);
  const { include_workdir: workdir } = value;
  if (workdir !== undefined && typeof workdir !== 'boolean')
    findings.warning(
      [...path, 'include_workdir'],
      workdir,
      'expected true or false; the supervisor takes true, so the working directory is writable',
    );
  const writable = checkPaths([...path, 'read_write'], value.read_write, findings);
  checkPaths([...path, 'read_only'], value.read_only, findings).forEach((name, index) => {
    const above = name === undefined ? undefined : writable.find((other) => other !== undefined && isWithin(name, other));
    if (above !== undefined)
      findings.warning(
        [...path, 'read_only', index],
        name,
        `it is writable, since read_write has ${above}: Landlock adds permissions up. Narrow read_write`,
      );
  });
  if (writable.includes('/'))
    findings.warning(
      [...path, 'read_write', writable.indexOf('/')],
      '/',
      'the whole file system is writable; list the folders that the program needs',
    );
}

const isWithin = (path: string, folder: string): boolean => path === folder || path.startsWith(folder === '/' ? '/' : `${folder}/`);

/** @returns the paths without a slash at their end; undefined where an entry is none */
function checkPaths(path: Path, value: unknown, findings: Findings): (string | undefined)[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) {
    findings.warning(path, value, 'expected a list of paths; the supervisor takes none of it. Write each path as an entry of a list');
    return [];
  }
  return value.map((entry: unknown, index) => {
    const place = [...path, index];
    if (typeof entry !== 'string') {
      findings.warning(place, entry, 'expected a path; the supervisor leaves this entry out. Write it in quotes');
      return undefined;
    }
    if (/[*?[\]{}~$]/.test(entry))
      findings.warning(place, entry, 'Landlock takes no patterns and no variables, so this grants nothing; name the folder');
    else if (!entry.startsWith('/'))
      findings.warning(place, entry, "the path is relative to the supervisor's working directory; write an absolute path");
    else if (entry.split('/').includes('..')) findings.warning(place, entry, 'the path goes up with ..; write where it leads');
    return entry === '/' ? entry : entry.replace(/\/+$/, '');
  });
}

function checkLandlock(value: unknown, findings: Findings): void {
  const path = ['landlock'];
  if (value === undefined || value === null) return;
  if (!isMap(value)) {
    findings.warning(path, value, 'expected a map; the supervisor takes best_effort. Write compatibility: below landlock:');
    return;
  }
  findings.unknownMembers(path, value, ['compatibility']);
  const { compatibility } = value;
  if (compatibility !== undefined && compatibility !== 'best_effort' && compatibility !== 'hard_requirement')
    findings.warning(
      [...path, 'compatibility'],
      compatibility,
      'expected best_effort or hard_requirement; the supervisor takes best_effort, which runs without file system limits where Landlock fails',
    );
}

function checkProcess(value: unknown, findings: Findings): void {
  const path = ['process'];
  if (value === undefined || value === null) return;
  if (!isMap(value)) {
    findings.warning(path, value, 'expected a map; the supervisor ignores it. Remove it');
    return;
  }
  findings.unknownMembers(path, value, ['run_as_user', 'run_as_group']);
  for (const name of ['run_as_user', 'run_as_group'])
    if (value[name] !== undefined)
      findings.warning(
        [...path, name],
        value[name],
        `it has no effect: the webhook gives the supervisor the id. Set securityContext.${name === 'run_as_user' ? 'runAsUser' : 'runAsGroup'} on the pod`,
      );
}
