import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** Where `npm run build` writes what is shipped: the npm package, and what the image holds below /app. */
export const DIST = `${ROOT}dist/`;

/**
 * Builds what is shipped.
 *
 * @returns the file that Node.js runs
 * @throws Error when it cannot be built
 */
export function buildBundle(): string {
  execFileSync('npm', ['run', '--silent', 'build'], { cwd: ROOT, stdio: ['ignore', 'ignore', 'inherit'] });
  return `${DIST}lib/main.js`;
}
