/** The recordings of docs/images and the pictures of them. */

import { readFileSync, writeFileSync } from 'node:fs';
import { type Cast, formatCast, parseCast } from './cast.ts';
import { drawMoving, drawStill } from './svg.ts';

/** How each recording is drawn. */
export const PICTURES = { demo: drawMoving, check: drawStill, explain: drawStill, 'explain-file': drawStill } as const;

export type PictureName = keyof typeof PICTURES;

const image = (file: string): URL => new URL(`../../../docs/images/${file}`, import.meta.url);

export function keep(name: PictureName, cast: Cast): void {
  writeFileSync(image(`${name}.cast`), formatCast(cast));
}

export function readCast(name: PictureName): Cast {
  return parseCast(readFileSync(image(`${name}.cast`), 'utf8'));
}

/** Draws a recording that is there. */
export async function drawAgain(name: PictureName): Promise<void> {
  writeFileSync(image(`${name}.svg`), await PICTURES[name](readCast(name)));
}
