/** actionlint over .github/workflows: syntax, contexts and expressions, inputs of actions, permissions. */

import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findActionlint } from './cluster/actionlint.ts';

const WORKFLOWS = fileURLToPath(new URL('../../.github/workflows/', import.meta.url));
const dir = mkdtempSync(join(tmpdir(), 'sideload-workflows-'));
const copy = join(dir, '.github/workflows');
let actionlint: string;

/** With none of the linters that this machine may or may not have. */
const lint = () => spawnSync(actionlint, ['-no-color', '-oneline', '-shellcheck=', '-pyflakes='], { cwd: dir, encoding: 'utf8' });

beforeAll(() => {
  actionlint = findActionlint();
  // Its project is the folder with .git.
  mkdirSync(join(dir, '.git'));
  cpSync(WORKFLOWS, copy, { recursive: true });
});

afterAll(() => rmSync(dir, { recursive: true }));

describe('the workflows', () => {
  it('are right', () => {
    expect(lint()).toMatchObject({ status: 0, stdout: '', stderr: '' });
  });

  it('and would be found wrong', () => {
    const text = readFileSync(join(WORKFLOWS, 'test.yml'), 'utf8');
    writeFileSync(join(copy, 'test.yml'), text.replace('matrix.suite }}', 'matrix.suit }}'));
    expect(lint()).toMatchObject({ status: 1, stdout: expect.stringContaining('property "suit" is not defined') });
  });
});
