import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../', import.meta.url));

/**
 * Compiles the product and returns the command line with which its image starts it, after `node`.
 *
 * @throws Error when it cannot be compiled, or the Dockerfile has no ENTRYPOINT in JSON
 */
export function compileProduct(): string[] {
  execFileSync('npm', ['run', '--silent', 'prepack'], { cwd: ROOT, stdio: ['ignore', 'ignore', 'inherit'] });
  const entrypoint = /^ENTRYPOINT (\[.*\])$/m.exec(readFileSync(`${ROOT}Dockerfile`, 'utf8'))?.[1];
  if (entrypoint === undefined) throw new Error('Dockerfile: no ENTRYPOINT in JSON');
  const [, ...args] = JSON.parse(entrypoint) as string[];
  return args.map((arg) => arg.replace(/^\/app\//, ROOT));
}
