/** The first part of `npm run docs:chart`: the descriptions of the chart's schema. */

import { readFileSync, writeFileSync } from 'node:fs';
import { describedSchema } from './chart-values.ts';

const SCHEMA = new URL('../../charts/openshell-sideload/values.schema.json', import.meta.url);
const values = readFileSync(new URL('values.yaml', SCHEMA), 'utf8');
const schema = describedSchema(values, JSON.parse(readFileSync(SCHEMA, 'utf8')));
writeFileSync(SCHEMA, JSON.stringify(schema));
