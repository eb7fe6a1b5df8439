/** Checks `network_policies` of policy data. Pure. Rules: crates/openshell-supervisor-network/src/opa.rs of NVIDIA/OpenShell v0.0.110. */

import { checkEndpoint } from './check-endpoint.ts';
import { type Findings, isEmptyList, isMap, type Members, type Path } from './findings.ts';

/** Checks the section `network_policies`: policies by name, each with endpoints and the programs that may use them. */
export function checkNetwork(value: unknown, findings: Findings): void {
  const path = ['network_policies'];
  if (value === undefined) {
    findings.warning(path, undefined, 'missing: no network is allowed. Write network_policies: {} to say so');
    return;
  }
  if (!isMap(value)) {
    findings.error(path, value, 'expected a map of policies by name; write network_policies: {} for none');
    return;
  }
  for (const [name, policy] of Object.entries(value)) checkNetworkPolicy([...path, name], policy, findings);
}

function checkNetworkPolicy(path: Path, value: unknown, findings: Findings): void {
  if (!isMap(value)) {
    findings[isEmptyList(value) ? 'warning' : 'error'](path, value, 'expected a map with endpoints and binaries');
    return;
  }
  findings.unknownMembers(path, value, ['name', 'endpoints', 'binaries']);
  const { name, endpoints } = value;
  if (name !== undefined && typeof name !== 'string') findings.error([...path, 'name'], name, 'expected text; write it in quotes');
  if (endpoints !== undefined && !Array.isArray(endpoints))
    findings.error([...path, 'endpoints'], endpoints, 'expected a list of endpoints');
  else if (endpoints === undefined || endpoints.length === 0)
    findings.warning([...path, 'endpoints'], undefined, 'missing: the policy allows nothing. List host and port');
  else {
    for (const [index, endpoint] of endpoints.entries()) checkEndpoint([...path, 'endpoints', index], endpoint, findings);
  }
  checkBinaries([...path, 'binaries'], value, findings);
}

function checkBinaries(path: Path, { binaries }: Members, findings: Findings): void {
  if (binaries === undefined || (Array.isArray(binaries) && binaries.length === 0)) {
    findings.warning(path, undefined, 'missing: no program may use the policy. List the programs: - path: /usr/bin/curl');
    return;
  }
  if (!Array.isArray(binaries)) {
    findings.warning(path, binaries, 'expected a list; no program may use the policy. Write - path: /usr/bin/curl');
    return;
  }
  binaries.forEach((binary: unknown, index) => {
    const place = [...path, index];
    if (!isMap(binary)) {
      findings.warning(place, binary, 'expected a map; this entry allows no program. Write path: /usr/bin/curl');
      return;
    }
    findings.unknownMembers(place, binary, ['path', 'harness', 'advisor_proposed']);
    const { path: program } = binary;
    if (program === undefined) findings.warning([...place, 'path'], undefined, 'missing: this entry allows no program');
    else if (typeof program !== 'string')
      findings.warning([...place, 'path'], program, 'expected a path; with this value the rules fail and every connection is denied');
    else if (!program.startsWith('/') && !program.startsWith('*'))
      findings.warning([...place, 'path'], program, 'no program has this path; write the absolute path that /proc/PID/exe shows');
  });
}
