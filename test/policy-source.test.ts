import { expect, it } from 'vitest';
import { configMapsOf, policyFrom } from '../src/sideload/policy-source.ts';

const data = { from: 'configmap', name: 'team' } as const;

it.each([
  { why: 'one ConfigMap has both', rules: { from: 'same' }, wanted: [{ name: 'team', keys: ['policy.yaml', 'policy.rego'] }] },
  {
    why: 'the rules have one of their own',
    rules: { from: 'configmap', name: 'rules' },
    wanted: [
      { name: 'team', keys: ['policy.yaml'] },
      { name: 'rules', keys: ['policy.rego'] },
    ],
  },
  {
    why: 'the rules lie in an image',
    rules: { from: 'image', reference: 'registry.example/rules:1' },
    wanted: [{ name: 'team', keys: ['policy.yaml'] }],
  },
] as const)('a policy names the ConfigMaps that it needs, with their keys: $why', ({ rules, wanted }) => {
  expect(configMapsOf(policyFrom(data, rules, ''))).toEqual(wanted);
});

it('a policy in an image needs none', () => {
  expect(configMapsOf(policyFrom({ from: 'image', reference: 'registry.example/policy:1' }, { from: 'same' }, ''))).toEqual([]);
});
