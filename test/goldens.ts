import { readdirSync, readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { type Config, readConfig } from '../src/config/config.ts';
import type { Pod } from '../src/sideload/pod.ts';

const GOLDEN_DIR = new URL('./goldens/', import.meta.url);
const INJECTED = '.injected.yaml';

export interface Golden {
  readonly name: string;
  readonly pod: Pod;
  /** Command-line flags, from a first line such as `# flags: --missing-command=warn`. */
  readonly flags: readonly string[];
  readonly config: Config;
}

/** Reads a golden's input. */
export function readGolden(name: string): Golden {
  const text = readFileSync(new URL(`${name}.yaml`, GOLDEN_DIR), 'utf8');
  const flags = /^# flags: (.*)$/m.exec(text)?.[1]?.split(' ') ?? [];
  return { name, pod: parse(text) as Pod, flags, config: readConfig(flags, {}) };
}

/** Names of all inputs and of all injected pods in the folder. */
export function listGoldens(): { inputs: string[]; injected: string[] } {
  const files = readdirSync(GOLDEN_DIR);
  return {
    inputs: files.filter((file) => file.endsWith('.yaml') && !file.endsWith(INJECTED)).map((file) => file.slice(0, -'.yaml'.length)),
    injected: files.filter((file) => file.endsWith(INJECTED)).map((file) => file.slice(0, -INJECTED.length)),
  };
}

export function injectedFile(name: string): URL {
  return new URL(`${name}${INJECTED}`, GOLDEN_DIR);
}
