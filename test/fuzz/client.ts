import { Agent, request } from 'node:https';
import type { FuzzCase } from './cases.ts';

/** Only a hang reaches it. An API server waits for 30 s at most, on a machine that does nothing else. */
const ANSWER_LIMIT_MS = 120_000;

export interface Answer {
  readonly status: number;
  readonly contentType: string;
  readonly body: Buffer;
}

/** The connection ended, or too much time passed, before an answer came. */
export class NoAnswerError extends Error {
  /** Whether it was closed while the request was still being sent: the answer to the first part of it can be lost. */
  readonly whileSending: boolean;

  constructor({ message, code }: NodeJS.ErrnoException) {
    super(message);
    this.whileSending = code === 'EPIPE' || code === 'ECONNRESET';
  }
}

export type Sent = Pick<FuzzCase, 'method' | 'path' | 'headers' | 'body'>;

export const postReview = (body: Buffer): Sent => ({
  method: 'POST',
  path: '/mutate',
  headers: { 'content-type': 'application/json' },
  body,
});

/** A client of the webhook with kept-alive connections, as the API server is one. */
export interface Client {
  /** Resolves with the answer; rejects with NoAnswerError. */
  readonly send: (sent: Sent) => Promise<Answer>;
  readonly close: () => void;
}

/** @param ca the certificate that the webhook's has to be signed with */
export function createClient(port: number, ca: string, connections: number): Client {
  const agent = new Agent({ keepAlive: true, maxSockets: connections, ca, servername: 'localhost' });
  const send = ({ method, path, headers, body }: Sent): Promise<Answer> =>
    new Promise((resolve, reject) => {
      const call = request(
        { host: '127.0.0.1', port, agent, method, path, headers: { 'content-length': body.length, ...headers } },
        (response) => {
          const chunks: Buffer[] = [];
          response.on('data', (chunk: Buffer) => chunks.push(chunk));
          response.on('error', (error) => reject(new NoAnswerError(error)));
          response.on('end', () => {
            clearTimeout(limit);
            resolve({
              status: response.statusCode ?? 0,
              contentType: response.headers['content-type'] ?? '',
              body: Buffer.concat(chunks),
            });
          });
        },
      );
      const limit = setTimeout(() => call.destroy(new Error(`no answer within ${ANSWER_LIMIT_MS / 1000} s`)), ANSWER_LIMIT_MS);
      call.on('error', (error) => {
        clearTimeout(limit);
        reject(new NoAnswerError(error));
      });
      call.end(body);
    });
  return { send, close: () => agent.destroy() };
}
