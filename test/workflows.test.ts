/** .github/workflows: they take the steps of `.ci/run`, pin the code of others, and bound permissions and time. */

import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';

interface Step {
  readonly uses?: string;
  readonly run?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly with?: Readonly<Record<string, unknown>>;
}

interface Job {
  readonly uses?: string;
  readonly 'timeout-minutes'?: number;
  readonly permissions?: Readonly<Record<string, string>>;
  readonly strategy?: { readonly matrix: Readonly<Record<string, readonly string[]>> };
  readonly steps?: readonly Step[];
}

interface Workflow {
  readonly on: Readonly<Record<string, unknown>>;
  readonly permissions: object;
  readonly concurrency?: { readonly group: string };
  readonly jobs: Readonly<Record<string, Job>>;
}

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const FOLDER = `${ROOT}.github/workflows/`;
const texts = readdirSync(FOLDER).map((name) => ({ name, text: readFileSync(FOLDER + name, 'utf8') }));
const workflows = texts.map(({ name, text }) => ({ name, workflow: parse(text) as Workflow }));
const jobs = workflows.flatMap(({ name, workflow }) => Object.entries(workflow.jobs).map(([id, job]) => ({ name: `${name} ${id}`, job })));

/** The steps of .ci/run that a job takes: in each of its runs, if it is a matrix. */
function takenBy({ strategy, steps = [] }: Job): string[] {
  const values = (text: string): readonly string[] => {
    const [, axis] = /^\$\{\{ matrix\.(\w+) \}\}$/.exec(text) ?? [];
    return axis === undefined ? [text] : (strategy?.matrix[axis] ?? []);
  };
  return steps.flatMap(({ run = '', env = {} }) =>
    [...run.matchAll(/\.ci\/run (.*)$/gm)].flatMap(([, words = '']) =>
      words
        .split(' ')
        .map((word) => word.replace(/^"\$(\w+)"$/, (_, name: string) => env[name] ?? word))
        .flatMap(values),
    ),
  );
}

describe('the steps of .ci/run', () => {
  const steps = execFileSync(`${ROOT}.ci/run`, ['--list'], { encoding: 'utf8' }).trim().split('\n');
  const test = workflows.find(({ name }) => name === 'test.yml')?.workflow;

  it('are all taken by the workflow for changes, once each', () => {
    expect(Object.keys(test?.on ?? {})).toEqual(expect.arrayContaining(['push', 'pull_request']));
    expect(
      Object.values(test?.jobs ?? {})
        .flatMap(takenBy)
        .sort(),
    ).toEqual([...steps].sort());
  });

  it('and no workflow asks for one that there is not', () => {
    expect(jobs.flatMap(({ job }) => takenBy(job)).filter((step) => !steps.includes(step))).toEqual([]);
  });

  it('come before a release', () => {
    const release = workflows.find(({ name }) => name === 'release.yml')?.workflow;
    const called = Object.entries(release?.jobs ?? {}).find(([, { uses }]) => uses === './.github/workflows/test.yml');
    expect(called?.[0]).toBe('test');
    expect(release?.jobs.image).toMatchObject({ needs: ['tag', 'test', 'package'] });
  });
});

describe('workflows', () => {
  it.each(texts)('$name names actions and images by digest, with their version', ({ text }) => {
    const used = [...text.matchAll(/uses: (.*)$/gm)].map(([, action = '']) => action).filter((action) => !action.startsWith('./'));
    expect(used.filter((action) => !/^[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/.test(action))).toEqual([]);
    const images = [...text.matchAll(/^ *image: (.*)$/gm)].map(([, image = '']) => image);
    expect(images.filter((image) => !/:[\w.-]+@sha256:[0-9a-f]{64}$/.test(image))).toEqual([]);
  });

  it('name one version of each action', () => {
    const actions = new Set(texts.flatMap(({ text }) => [...text.matchAll(/uses: ([\w-]+\/[\w-]+.*)$/gm)].map(([, action]) => action)));
    expect(actions.size).toBeGreaterThan(8);
    const names = [...actions].map((action = '') => action.split('@')[0]);
    expect(names).toEqual([...new Set(names)]);
  });

  it.each(workflows)('$name gives permissions to jobs only, and runs once at a time for each branch', ({ workflow }) => {
    expect(workflow.permissions).toEqual({});
    expect(workflow.concurrency?.group).toContain('github.ref');
  });

  it.each(jobs)('$name has permissions of its own, and a timeout', ({ job }) => {
    expect(Object.keys(job.permissions ?? {})).toContain('contents');
    if (job.uses === undefined) expect(job['timeout-minutes']).toBeGreaterThan(0);
  });

  it.each(jobs)('$name keeps no credentials in its copy of the tree', ({ job }) => {
    for (const { uses = '', with: inputs } of job.steps ?? [])
      if (uses.startsWith('actions/checkout@')) expect(inputs).toMatchObject({ 'persist-credentials': false });
  });

  it('run no code of dependencies where something can be published', () => {
    const publishing = jobs.filter(({ job }) => ['id-token', 'packages'].some((permission) => job.permissions?.[permission] === 'write'));
    expect(publishing.map(({ name }) => name)).toEqual([
      'release.yml image',
      'release.yml chart',
      'release.yml npm',
      'scorecard.yml score',
    ]);
    for (const { job } of publishing)
      for (const { run = '' } of job.steps ?? []) expect(run).not.toMatch(/npm (ci|install|run|test|pack)|npx|\.ci\/run/);
  });

  it('publish from tags only', () => {
    const writes = (job: Job): boolean => ['packages', 'attestations'].some((permission) => job.permissions?.[permission] === 'write');
    const publishing = workflows.filter(({ workflow }) => Object.values(workflow.jobs).some(writes));
    expect(publishing.map(({ name, workflow }) => [name, workflow.on])).toEqual([['release.yml', { push: { tags: ['v*'] } }]]);
  });
});
