/** The levels of Pod Security. */

import { beforeAll, describe, expect, it } from 'vitest';
import { sandbox } from '../../pods.ts';
import { method } from '../../refusals.ts';
import { isSideloaded } from '../../sideloaded.ts';
import { create, METHODS, openNamespace, refusal, stored } from './stage.ts';

describe('Pod Security', () => {
  const level = (mode: string, name: string) => ({ labels: { [`pod-security.kubernetes.io/${mode}`]: name } });

  beforeAll(async () => {
    for (const name of ['privileged', 'baseline', 'restricted']) await openNamespace(`enforce-${name}`, level('enforce', name));
    for (const mode of ['warn', 'audit']) await openNamespace(`${mode}-restricted`, level(mode, 'restricted'));
  });

  it.each(METHODS)('admits a sandbox by method %s at level privileged', async (by) => {
    expect(isSideloaded(await stored(sandbox({ annotations: method(by) }), 'enforce-privileged'))).toBe(true);
  });

  it.each(['baseline', 'restricted'].flatMap((name) => METHODS.map((by) => ({ name, by }))))(
    'refuses a sandbox by method $by at level $name, in its own words',
    async ({ name, by }) => {
      const said = await refusal(sandbox({ annotations: method(by) }), `enforce-${name}`);
      expect(said).toContain(`pods "POD" is forbidden: violates PodSecurity "${name}:latest": `);
      expect(said).toContain('container "agent" must not include "NET_ADMIN", "SYSLOG", "SYS_ADMIN", "SYS_PTRACE"');
    },
  );

  it('refuses a sandbox in a user namespace at level baseline too', async () => {
    expect(await refusal(sandbox({ spec: { hostUsers: false } }), 'enforce-baseline')).toContain('violates PodSecurity "baseline:latest"');
  });

  it('stores a sandbox where restricted only warns, and prints the warning', async () => {
    const { code, stdout, stderr } = await create(sandbox(), 'warn-restricted');
    expect([code, stderr]).toEqual([0, expect.stringMatching(/^Warning: would violate PodSecurity "restricted:latest": [^\n]*\n$/)]);
    expect(isSideloaded(JSON.parse(stdout))).toBe(true);
  });

  it('stores a sandbox where restricted is only audited, and prints nothing', async () => {
    const { code, stdout, stderr } = await create(sandbox(), 'audit-restricted');
    expect([code, stderr]).toEqual([0, '']);
    expect(isSideloaded(JSON.parse(stdout))).toBe(true);
  });
});
