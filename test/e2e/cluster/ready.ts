/** The control plane that `npm run e2e:up` keeps ready: one file says where it is, and a test that takes it renames that file. */

import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A control plane that runs. */
export interface Ready {
  readonly dir: string;
  readonly address: string;
  readonly port: number;
  /** The process that started it. */
  readonly owner: number;
}

export const FOLDER = join(tmpdir(), `openshell-sideload-e2e-${process.getuid?.() ?? 0}`);
const READY = join(FOLDER, 'ready.json');
/** The name of a claim has the process that made it. */
const CLAIM = /^claimed-(\d+)-.*\.json$/;

/** Offers a control plane to the next test that wants one. */
export function offer(ready: Ready): void {
  mkdirSync(FOLDER, { recursive: true, mode: 0o700 });
  // Whoever reads the file reads all of it.
  writeFileSync(`${READY}.new`, JSON.stringify(ready));
  renameSync(`${READY}.new`, READY);
}

/** The process that claimed something, by the name of a file; undefined where the file is no claim. */
export function claimant(name: string): number | undefined {
  const [, pid] = CLAIM.exec(name) ?? [];
  return pid === undefined ? undefined : Number(pid);
}

/** Whether a process is there. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** Takes the control plane that is ready. Returns undefined where none is. */
export async function claimReady(): Promise<Ready | undefined> {
  const claim = join(FOLDER, `claimed-${process.pid}-${Date.now()}.json`);
  try {
    renameSync(READY, claim);
  } catch {
    return undefined;
  }
  const ready = JSON.parse(readFileSync(claim, 'utf8')) as Ready;
  // What a killed `npm run e2e:up` left behind.
  return isAlive(ready.owner) ? ready : undefined;
}
