/** Supervisors at places that are no known pods. */

import { escapePathComponent } from 'fast-json-patch';
import { SIDELOADED_ANNOTATION } from '../../sideload/contract.ts';
import { isLaunched } from '../../sideload/selection.ts';
import { plain } from '../plain.ts';
import type { HeldPod } from './holders.ts';
import type { Manifest } from './read.ts';

type Words = Readonly<Record<string, unknown>>;

function isSupervisor(value: Words): boolean {
  const { command } = value;
  return value[SIDELOADED_ANNOTATION] !== undefined || (Array.isArray(command) && isLaunched({ command: command.map(String) }));
}

/** Where a document starts a supervisor outside its pods, or says that one was put in. */
export function strayPlaces({ value }: Manifest, pods: readonly HeldPod[]): string[] {
  const known = new Set(pods.map(({ pointer }) => pointer));
  const found = (at: unknown, pointer: string): string[] => {
    if (typeof at !== 'object' || at === null || known.has(pointer)) return [];
    const own = isSupervisor(at as Words) ? [plain(pointer.slice(1).replaceAll('/', '.'))] : [];
    return [...own, ...Object.entries(at).flatMap(([member, each]) => found(each, `${pointer}/${escapePathComponent(member)}`))];
  };
  return found(value, '');
}
