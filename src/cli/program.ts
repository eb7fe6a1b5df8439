import { basename } from 'node:path';

/** How this program was called: kubectl starts plugins by the name of their file. */
export const PROGRAM = basename(process.argv[1] ?? '') === 'kubectl-sideload' ? 'kubectl sideload' : 'openshell-sideload';
