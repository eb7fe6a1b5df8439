import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { request } from 'node:https';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { json } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';

const main = fileURLToPath(new URL('../src/main.ts', import.meta.url));
const cwd = mkdtempSync(join(tmpdir(), 'sideload-main-'));
afterAll(() => rmSync(cwd, { recursive: true }));

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function run(
  args: readonly string[],
  env: Record<string, string> = {},
): { child: ChildProcess; ended: Promise<Ended>; output: () => string } {
  const child = spawn(process.execPath, [main, ...args], { cwd, env: { PATH: process.env.PATH ?? '', ...env } });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (chunk) => {
    stdout += chunk;
  });
  child.stderr.on('data', (chunk) => {
    stderr += chunk;
  });
  return { child, output: () => stdout, ended: once(child, 'close').then(([code]) => ({ code: code as number | null, stdout, stderr })) };
}

async function started({ child, output }: ReturnType<typeof run>): Promise<{ port: number }> {
  while (!output().includes('"msg":"serving"')) await once(child.stdout ?? child, 'data');
  return JSON.parse(
    output()
      .split('\n')
      .find((line) => line.includes('"serving"')) ?? '',
  );
}

describe('the command', () => {
  it('prints its help and version', async () => {
    const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
    expect(await run(['--version']).ended).toEqual({ code: 0, stdout: `openshell-sideload ${version}\n`, stderr: '' });
    const { code, stdout } = await run(['--help']).ended;
    expect([code, stdout]).toEqual([0, expect.stringContaining('--supervisor-image REFERENCE')]);
    for (const line of stdout.split('\n')) expect(line.length, line).toBeLessThanOrEqual(100);
  });

  it('ends with 2 and all that is wrong', async () => {
    expect(await run(['--port=x', 'now'], { OPENSHELL_LOG_LEVEL: 'loud' }).ended).toEqual({
      code: 2,
      stdout: '',
      stderr: [
        'openshell-sideload: 3 problems:',
        '  unexpected argument "now": see --help',
        '  --port "x": expected a port, or 0 for any free one, 0 to 65535',
        '  --log-level "loud" (from OPENSHELL_LOG_LEVEL): expected debug, info, warn, error',
        'See openshell-sideload --help.\n',
      ].join('\n'),
    });
  });

  it('takes `help` with one command, or none', async () => {
    const { stdout } = await run(['--help']).ended;
    for (const words of [['help'], ['help', '--help']]) expect(await run(words).ended).toEqual({ code: 0, stdout, stderr: '' });
    const { stderr, code } = await run(['help', 'inject', 'check']).ended;
    expect([code, stderr]).toEqual([2, expect.stringContaining('help takes one command, not 2: inject check\n')]);
  });

  it('makes local certificates, serves, and ends with 0 on SIGTERM', async () => {
    const webhook = run(['serve', '--port=0', '--admin-port=0', '--shutdown-delay=0']);
    await started(webhook);
    webhook.child.kill('SIGTERM');
    const { code, stdout } = await webhook.ended;
    expect(code).toBe(0);
    const lines = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(lines.map(({ msg }) => msg)).toEqual([
      'made certificates for local use; ca.crt is what clients trust',
      'serving',
      'stopping',
      'draining',
      'stopped',
    ]);
  });

  it('injects the pod of examples/review.json', async () => {
    const webhook = run(['--port=0', '--admin-port=0', '--shutdown-delay=0']);
    const { port } = await started(webhook);
    const call = request({
      ...{ host: 'localhost', port, path: '/mutate', method: 'POST', ca: readFileSync(join(cwd, 'certs/ca.crt')) },
      headers: { 'content-type': 'application/json' },
    }).end(readFileSync(new URL('../examples/review.json', import.meta.url)));
    const [response] = await once(call, 'response');
    expect(await json(response)).toMatchObject({
      response: { allowed: true, patchType: 'JSONPatch', auditAnnotations: { reason: 'injected' } },
    });
    webhook.child.kill('SIGTERM');
    await webhook.ended;
  });

  it('ends with 1 when a port is taken', async () => {
    const taken = createServer().listen(0);
    await once(taken, 'listening');
    const address = taken.address();
    const port = typeof address === 'object' ? address?.port : 0;
    const { code, stdout } = await run(['--port=0', `--admin-port=${port}`]).ended;
    expect([code, stdout]).toEqual([1, expect.stringContaining('EADDRINUSE')]);
    taken.close();
  });
});
