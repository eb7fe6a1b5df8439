/** The floor: a webhook that lets every pod pass as it is. What Fastify takes to parse a review and to respond. */

import { serve } from './serve.ts';

await serve(({ uid }) => ({ uid, allowed: true }));
