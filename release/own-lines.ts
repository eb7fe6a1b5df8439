import { decode, encode, type SourceMapSegment } from '@jridgewell/sourcemap-codec';

/** A source map, version 3 (ECMA-426), as far as it is read here. */
interface SourceMap {
  readonly version: 3;
  readonly sources: readonly string[];
  readonly mappings: string;
}

/** From dist/lib to the tree are two steps up; a trace shows the sources beside lib/. */
const BESIDE_LIB = /^\.\.\//;

/**
 * The part of a source map that leads to our own sources. Node.js keeps maps as long as the program runs: those of dependencies
 * would take more memory than everything else.
 */
export function ownLines({ version, sources, mappings }: SourceMap): SourceMap {
  const own = sources.filter((source) => !source.includes('node_modules/'));
  const places = sources.map((source) => own.indexOf(source));
  const lines = decode(mappings).map((line) => {
    const kept: SourceMapSegment[] = [];
    for (const [column, source, row, character] of line) {
      const place = source === undefined ? -1 : (places[source] ?? -1);
      if (place >= 0) kept.push([column, place, row ?? 0, character ?? 0]);
      // Where code of others begins, that of ours ends.
      else if (kept.at(-1)?.length !== 1) kept.push([column]);
    }
    return kept;
  });
  return { version, sources: own.map((source) => source.replace(BESIDE_LIB, '')), mappings: encode(lines) };
}
