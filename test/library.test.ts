import { describe, expect, it } from 'vitest';
import { decide, enforcing, inject, POLICY_ANNOTATION, readSettings, SANDBOX_LABEL } from '../src/library.ts';
import { agent, sandbox } from './pods.ts';

describe('the library', () => {
  it('injects a copy of the pod', () => {
    const pod = sandbox();
    const before = structuredClone(pod);
    const { outcome, pod: injected } = inject(pod);
    expect(outcome.verdict).toBe('inject');
    expect(pod).toEqual(before);
    expect(injected?.spec?.containers?.[0]?.command).toEqual(['/opt/openshell/bin/openshell-sandbox', '--workdir', '/sandbox']);
    // As the API server calls the webhook again.
    expect(inject(injected ?? {}).outcome).toMatchObject({ verdict: 'skip', reason: 'already-sideloaded' });
  });

  it('has no pod where the webhook refuses one, and the same where it leaves one unchanged', () => {
    const refused = sandbox({ labels: { [SANDBOX_LABEL]: 'yes' } });
    expect(inject(refused)).toEqual({ outcome: decide(refused), pod: undefined });
    const other = sandbox({ labels: {} });
    expect(inject(other)).toEqual({ outcome: decide(other), pod: other });
  });

  it('follows the options of a webhook, and of its namespaces', () => {
    const image = 'registry.example/supervisor:0.0.110';
    const settings = readSettings([`--supervisor-image=${image}`], { OPENSHELL_SUPERVISOR_SIDELOAD_METHOD: 'init-container' });
    const { outcome, pod } = inject(sandbox(), settings);
    expect(outcome).toMatchObject({ verdict: 'inject', method: 'init-container' });
    expect(pod?.spec?.initContainers?.[0]?.image).toBe(image);
    const own = sandbox({ annotations: { [POLICY_ANNOTATION]: 'own' }, spec: { containers: [agent({ env: [] })] } });
    expect(decide(own).verdict).toBe('inject');
    expect(decide(own, enforcing(readSettings()))).toMatchObject({ verdict: 'refuse', reason: 'policy-not-allowed' });
  });

  it('says which image the webhook would look up', () => {
    const { command: _, ...container } = agent({ image: 'registry.example/agent:2' });
    expect(decide(sandbox({ spec: { containers: [container] } }))).toMatchObject({
      verdict: 'refuse',
      needs: { image: 'registry.example/agent:2', forProgram: true },
    });
  });

  it('says what is wrong with settings and pods', () => {
    expect(() => readSettings(['--sandbox-uid=root', '--nonsense'])).toThrow(/unknown flag --nonsense.*--sandbox-uid "root"/s);
    expect(() => decide({ spec: { containers: {} } } as object)).toThrow(
      new TypeError('not a v1 Pod: spec.containers is an object, not a list'),
    );
  });
});
