import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import jsonPatch, { type Operation } from 'fast-json-patch';
import { describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { decide } from '../src/sideload/decide.ts';
import type { Pod } from '../src/sideload/pod.ts';
import { UNKNOWN_CLUSTER } from '../src/sideload/settings.ts';
import { injectedFile, listGoldens, readGolden } from './goldens.ts';

/** UPDATE_GOLDENS=1 writes the injected pods instead of comparing them: read the difference before committing it. */
const update = process.env.UPDATE_GOLDENS === '1';
const { inputs, injected } = listGoldens();

function apply(pod: Pod, operations: readonly Operation[]): Pod {
  return jsonPatch.applyPatch(structuredClone(pod), operations, true).newDocument;
}

describe('golden pods', () => {
  it('are at least thirty', () => {
    expect(inputs.length).toBeGreaterThanOrEqual(30);
  });

  it('have no injected pod without its input', () => {
    const stale = injected.filter((name) => !inputs.includes(name));
    if (update) for (const name of stale) rmSync(injectedFile(name));
    else expect(stale).toEqual([]);
  });

  it.each(inputs)('%s is injected as its file says, and only once', (name) => {
    const { pod, config } = readGolden(name);
    const before = structuredClone(pod);
    const outcome = decide(pod, config.sideload, UNKNOWN_CLUSTER);
    expect(pod, 'the input is not changed').toEqual(before);
    const after = outcome.verdict === 'inject' ? apply(pod, outcome.operations) : pod;
    const text = stringify(
      outcome.verdict === 'inject'
        ? { reason: outcome.reason, warnings: outcome.warnings.map(({ code }) => code), pod: after }
        : { ...outcome, pod: 'unchanged' },
      { lineWidth: 0, aliasDuplicateObjects: false },
    );
    if (update) writeFileSync(injectedFile(name), text);
    else expect(text).toBe(readFileSync(injectedFile(name), 'utf8'));

    if (outcome.verdict !== 'inject') return;
    expect(decide(after, config.sideload, UNKNOWN_CLUSTER)).toMatchObject({ verdict: 'skip', reason: 'already-sideloaded' });
    for (const { op, path, ...rest } of outcome.operations) {
      const old = jsonPatch.getValueByPointer(pod, op === 'add' && path.endsWith('/-') ? '/none' : path);
      expect(isDeepStrictEqual(old, (rest as { value?: unknown }).value), `${op} ${path} changes something`).toBe(false);
    }
  });
});
