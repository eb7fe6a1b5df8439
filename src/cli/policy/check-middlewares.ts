/** Checks `network_middlewares` of policy data. Pure. Rules: crates/openshell-policy/src/middleware.rs of NVIDIA/OpenShell v0.0.110. */

import { type Findings, isMap, type Members, type Path } from './findings.ts';

const MEMBERS = ['name', 'middleware', 'order', 'config', 'on_error', 'endpoints'];
/** crates/openshell-supervisor-middleware-builtins/src/regex.rs */
const BUILT_IN = 'openshell/regex';
const MOST_MIDDLEWARES = 10;
const MOST_PATTERNS = 32;

/** Finds what is wrong with the map of middlewares. The supervisor reads it strictly: an unknown member is an error. */
export function checkMiddlewares(value: unknown, findings: Findings): void {
  const path = ['network_middlewares'];
  if (value === undefined) return;
  if (!isMap(value)) {
    findings.error(path, value, 'expected a map of middlewares by name; remove it where there are none');
    return;
  }
  const entries = Object.entries(value);
  if (entries.length > MOST_MIDDLEWARES)
    findings.error(path, undefined, `${entries.length} middlewares: the supervisor takes ${MOST_MIDDLEWARES}; remove some`);
  const orders = new Map<number, string>();
  for (const [name, middleware] of entries) {
    const place = [...path, name];
    if (!isMap(middleware)) {
      findings.error(place, middleware, 'expected a map with middleware and endpoints');
      continue;
    }
    checkMiddleware(place, middleware, findings);
    const order = typeof middleware.order === 'number' ? middleware.order : 0;
    const before = orders.get(order);
    if (before !== undefined) findings.error([...place, 'order'], order, `${before} has the same order; give each middleware its own`);
    orders.set(order, name);
  }
}

function checkMiddleware(path: Path, value: Members, findings: Findings): void {
  for (const key of Object.keys(value))
    if (!MEMBERS.includes(key))
      findings.error([...path, key], undefined, `the supervisor does not know it; known here: ${MEMBERS.join(', ')}`);
  const { middleware, name, order, on_error: onError, config, endpoints } = value;
  if (middleware !== BUILT_IN)
    findings.error([...path, 'middleware'], middleware, `expected ${BUILT_IN}, the only one that the supervisor has without a gateway`);
  if (name !== undefined && typeof name !== 'string') findings.error([...path, 'name'], name, 'expected text; write it in quotes');
  if (order !== undefined && !Number.isInteger(order)) findings.error([...path, 'order'], order, 'expected a whole number');
  if (onError !== undefined && !['', 'fail_closed', 'fail_open'].includes(onError as string))
    findings.error([...path, 'on_error'], onError, 'expected fail_closed or fail_open');
  const isConfig =
    config === undefined || (isMap(config) && Object.entries(config).every(([key, mode]) => key === 'mode' && mode === 'redact'));
  if (!isConfig) findings.error([...path, 'config'], config, 'expected a map with mode: redact and nothing else; or remove it');
  if (!isMap(endpoints)) {
    findings.error([...path, 'endpoints'], endpoints, 'expected a map with include: a list of hosts');
    return;
  }
  const lists = ['include', 'exclude'].map((name) => {
    const list = endpoints[name] ?? [];
    if (Array.isArray(list) && list.every((host) => typeof host === 'string' && /^[^\s{}]+$/.test(host))) return list;
    findings.error([...path, 'endpoints', name], list, 'expected a list of hosts such as "*.example.com", without spaces and braces');
    return undefined;
  });
  if (lists[0]?.length === 0) findings.error([...path, 'endpoints', 'include'], undefined, 'missing: list at least one host');
  if (lists.flat().length > MOST_PATTERNS)
    findings.error([...path, 'endpoints'], undefined, `${lists.flat().length} hosts: the supervisor takes ${MOST_PATTERNS}; remove some`);
}
