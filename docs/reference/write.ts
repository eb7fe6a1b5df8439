/** `npm run docs:reference` */

import { writeFileSync } from 'node:fs';
import { documents } from './tables.ts';

for (const { file, wanted } of documents()) writeFileSync(new URL(file, import.meta.url), wanted);
