/** Request bodies: how many of them are taken at a time, and how their text becomes JSON. */

import type { FastifyInstance, FastifyReply } from 'fastify';

/** An object in etcd is at most 1.5 MiB by default; the API server takes request bodies up to 3 MiB and sends the object in JSON. */
export const BODY_LIMIT_BYTES = 8 * 1024 * 1024;

/** Reviews of ordinary pods are a few KiB: below this nothing is counted. */
const LARGE_BODY_BYTES = 256 * 1024;
/** All large bodies that are being received or answered, together: they and what is made of them have to fit into the memory limit. */
const LARGE_BODIES_BYTES = 32 * 1024 * 1024;
/** Each value takes tens of bytes of memory, however short its text is. No pod that fits into etcd holds as many. */
const MAX_VALUES = 300_000;

/** A body that is not taken. `statusCode` is the HTTP status of the answer. */
class BodyError extends Error {
  override readonly name = 'BodyError';
  readonly statusCode: number;

  constructor(statusCode: number, message: string) {
    super(message);
    this.statusCode = statusCode;
  }
}

/** Whether a text of JSON may hold more values than any pod: every value but the first of a list or object follows a comma, the first one a bracket. */
function holdsTooMany(text: string): boolean {
  let values = 0;
  for (const before of [',', '[', '{'])
    for (let at = text.indexOf(before); at !== -1; at = text.indexOf(before, at + 1)) if (++values > MAX_VALUES) return true;
  return false;
}

/**
 * Parses a body.
 *
 * @throws BodyError 400 for what is no JSON, with a sentence that repeats nothing of it; 413 for too many values
 */
export function parseBody(text: string): unknown {
  if (text.length > LARGE_BODY_BYTES && holdsTooMany(text))
    throw new BodyError(413, `the body holds more than ${MAX_VALUES} values: no pod has as many`);
  try {
    return JSON.parse(text);
  } catch {
    throw new BodyError(400, text === '' ? 'the body is empty, not an AdmissionReview' : 'the body is not valid JSON');
  }
}

/**
 * Refuses large bodies while too many of them are under way, before they are read. The API server tries again by itself.
 *
 * @param refuse answers the request
 */
export function limitLargeBodies(app: FastifyInstance, refuse: (reply: FastifyReply, message: string) => void): void {
  let underWay = 0;
  app.addHook('onRequest', (request, reply, done) => {
    const length = request.headers['content-length'];
    const bytes = length === undefined ? (request.headers['transfer-encoding'] === undefined ? 0 : BODY_LIMIT_BYTES) : Number(length);
    // What is beyond the limit is never read: Fastify answers 413.
    if (bytes <= LARGE_BODY_BYTES || bytes > BODY_LIMIT_BYTES) {
      done();
    } else if (underWay + bytes > LARGE_BODIES_BYTES) {
      reply.header('retry-after', '1').header('connection', 'close');
      refuse(reply, 'too many large requests are under way: try again');
    } else {
      underWay += bytes;
      reply.raw.once('close', () => {
        underWay -= bytes;
      });
      done();
    }
  });
}
