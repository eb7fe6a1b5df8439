import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import type { Pod } from '../src/sideload/pod.ts';
import { isUnguarded } from '../src/sideload/unguarded.ts';
import { injectedFile, listGoldens, readGolden } from './goldens.ts';
import { sandbox } from './pods.ts';

const { sideload } = readGolden('agent-is-second').config;

describe('a stored sandbox is unguarded', () => {
  const changed = listGoldens()
    .inputs.map((name) => ({ name, golden: readGolden(name), after: parse(readFileSync(injectedFile(name), 'utf8')) }))
    .filter(({ after }) => after.reason === 'injected');

  it.each(changed)('as it was before its injection, and not after it: $name', ({ golden: { pod, config }, after }) => {
    expect([isUnguarded(pod, config.sideload), isUnguarded(after.pod as Pod, config.sideload)]).toEqual([true, false]);
  });

  it.each([
    { why: 'is about to end', pod: { ...sandbox(), metadata: { ...sandbox().metadata, deletionTimestamp: '2026-01-01T00:00:00Z' } } },
    { why: 'has succeeded', pod: { ...sandbox(), status: { phase: 'Succeeded' } } },
    { why: 'has failed', pod: { ...sandbox(), status: { phase: 'Failed' } } },
    { why: 'is opted out', pod: sandbox({ labels: { 'openshell.ai/sandbox': 'false' } }) },
  ])('unless it $why', ({ pod }) => {
    expect(isUnguarded(pod, sideload)).toBe(false);
  });

  it.each([
    { why: 'runs', pod: { ...sandbox(), status: { phase: 'Running' } } },
    { why: 'has a member of the wrong type', pod: { ...sandbox(), spec: { containers: 'none' } } },
    { why: 'would be refused', pod: sandbox({ labels: { 'openshell.ai/sandbox': 'yes' } }) },
  ])('if it $why', ({ pod }) => {
    expect(isUnguarded(pod, sideload)).toBe(true);
  });
});
