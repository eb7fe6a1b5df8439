#!/usr/bin/env node
// Before anything of ours is loaded: where it is bundled, stack traces then name the lines of the sources.
process.setSourceMapsEnabled(true);
await import('./cli/main.ts');
