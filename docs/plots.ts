/** `npm run docs:plots`: draws the plots of docs/performance.md again, from the data beside them. */

import { drawAgain, plotNames } from '../bench/plot.ts';

for (const name of plotNames()) await drawAgain(name);
