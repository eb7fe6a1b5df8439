/** Request bodies: how many of them are taken at a time, and how their text becomes JSON. */

import { Transform } from 'node:stream';
import type { FastifyInstance } from 'fastify';
import { holdsTooMany, LARGE_BYTES, MAX_VALUES } from '../sideload/json-size.ts';

/** An object in etcd is at most 1.5 MiB by default; the API server takes request bodies up to 3 MiB and sends the object in JSON. */
export const BODY_LIMIT_BYTES = 8 * 1024 * 1024;

/** All large bodies that are being received or answered, together: they and what is made of them have to fit into the memory limit. */
const LARGE_BODIES_BYTES = 32 * 1024 * 1024;
/** The slowest API server sends more of a large body in this time: the whole limit would take it 128 s, where a review has 10 s. */
const WATCH_MS = 2_000;
const SLOWEST_BYTES = 128 * 1024;

/** A request that is not taken. `statusCode` is the HTTP status of the response. */
export class RequestError extends Error {
  override readonly name = 'RequestError';
  readonly statusCode: number;

  constructor(statusCode: number, message: string) {
    // It may name a key, which is as long as its author likes.
    super(message.slice(0, 500));
    this.statusCode = statusCode;
  }
}

/**
 * Parses a body.
 *
 * @throws RequestError 400 if the text is no JSON, with a message that repeats nothing of it; 413 for too many values
 */
export function parseBody(text: string): unknown {
  if (holdsTooMany(text)) throw new RequestError(413, `the body has more than ${MAX_VALUES} values, the most that is accepted`);
  try {
    return JSON.parse(text);
  } catch {
    throw new RequestError(400, text === '' ? 'the body is empty, not an AdmissionReview' : 'the body is not valid JSON');
  }
}

/**
 * Counts large bodies by what has arrived of them, so that a client that only announces one holds nothing, and refuses the one
 * that would be too much: the API server tries again by itself. A client that sends too slowly is cut off.
 */
export function limitLargeBodies(app: FastifyInstance): void {
  let held = 0;
  app.addHook('preParsing', (request, reply, payload, done) => {
    const length = request.headers['content-length'];
    // Node reads no more than the announced length. Above the body limit it reads nothing: Fastify responds with 413.
    if (length === undefined ? request.headers['transfer-encoding'] === undefined : Number(length) <= LARGE_BYTES) {
      done(null, payload);
      return;
    }
    let [arrived, before] = [0, 0];
    const counted = new Transform({
      transform: (chunk: Buffer, _encoding, next) => {
        arrived += chunk.length;
        held += chunk.length;
        next(held > LARGE_BODIES_BYTES ? new RequestError(503, 'too many large requests at a time: try again') : null, chunk);
      },
    });
    const watch = setInterval(() => {
      if (arrived - before < SLOWEST_BYTES) counted.destroy(new RequestError(408, 'the body arrives too slowly'));
      before = arrived;
    }, WATCH_MS);
    counted.once('close', () => clearInterval(watch));
    reply.raw.once('close', () => {
      clearInterval(watch);
      held -= arrived;
    });
    done(null, payload.pipe(counted));
  });
}
