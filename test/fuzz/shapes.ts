/**
 * HTTP requests of odd shapes: those by which two parsers can come to differ about where a request ends (RFC 9112, section
 * 11.2), and other ways to be no request.
 */

import type { Attack } from './attacks.ts';
import { openTls, receive, statusesOf } from './raw.ts';

interface Shape {
  readonly name: string;
  readonly bytes: Buffer;
  /** Series of statuses that are fine, such as "200" or "100 200". After a 400 the connection has to be closed. */
  readonly answers: readonly string[];
}

const HOST = 'Host: localhost';
const JSON_TYPE = 'Content-Type: application/json';
/** What a parser would take for one more request if it ended the one before too early. It would be answered 404. */
const SMUGGLED = 'GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n';

const bytes = (...parts: readonly (string | Buffer)[]): Buffer => Buffer.concat(parts.map((part) => Buffer.from(part)));
const post = (headers: readonly string[], line = 'POST /mutate HTTP/1.1'): string =>
  [line, HOST, JSON_TYPE, ...headers, '', ''].join('\r\n');
const chunk = (body: Buffer, extension = ''): Buffer => bytes(`${body.length.toString(16)}${extension}\r\n`, body, '\r\n');
const CHUNKED = 'Transfer-Encoding: chunked';
const LAST = '0\r\n\r\n';

/** Whether it is all that is to come: after a 400 the end of the connection is still to come. */
function isWhole(received: Buffer, answers: readonly string[]): boolean {
  try {
    const statuses = statusesOf(received);
    return answers.includes(statuses) && !statuses.endsWith('400');
  } catch {
    return false;
  }
}

/** Each shape as what a client does to a connection. */
export function shapesAsAttacks(review: Buffer): Attack[] {
  return shapesWith(review).map(({ name, bytes, answers }) => ({
    kind: name,
    count: 1,
    // Nobody may take what follows a refused request for another one.
    fine: (ending) => answers.some((statuses) => ending === `${statuses}, closed` || (ending === statuses && !statuses.endsWith('400'))),
    run: async (target) => {
      const socket = await openTls(target);
      socket.write(bytes);
      const { bytes: received, closed } = await receive(socket, (some) => isWhole(some, answers));
      socket.destroy();
      return `${statusesOf(received)}${closed ? ', closed' : ''}`;
    },
  }));
}

/** @param review body of a review that is answered 200 */
function shapesWith(review: Buffer): readonly Shape[] {
  const length = `Content-Length: ${review.length}`;
  const whole = bytes(post([length]), review);
  const refused = (name: string, ...parts: readonly (string | Buffer)[]): Shape => ({
    name,
    bytes: bytes(...parts, SMUGGLED),
    answers: ['400'],
  });
  const either = (name: string, answers: readonly string[], ...parts: readonly (string | Buffer)[]): Shape => ({
    name,
    bytes: bytes(...parts),
    answers,
  });
  return [
    refused('Content-Length and Transfer-Encoding', post([length, CHUNKED]), LAST),
    refused('Transfer-Encoding and Content-Length', post([CHUNKED, length]), LAST),
    refused('two Content-Lengths that differ', post(['Content-Length: 0', length]), review),
    refused('two Content-Lengths that agree', post([length, length]), review),
    refused('a list of Content-Lengths', post([`${length}, ${review.length}`]), review),
    refused('a Content-Length with a sign', post([`Content-Length: +${review.length}`]), review),
    refused('a negative Content-Length', post(['Content-Length: -1']), review),
    refused('a Content-Length in hex', post(['Content-Length: 0x10']), review),
    refused('a Content-Length beyond 2^64', post(['Content-Length: 18446744073709551617']), review),
    refused('an empty Content-Length', post(['Content-Length:']), review),
    refused('a space before the colon', post([`Content-Length : ${review.length}`]), review),
    refused('a header without a name', post([': x', length]), review),
    refused('a header without a colon', post(['x', length]), review),
    refused('a NUL in a header', post(['X: a\0b', length]), review),
    refused('a bare CR in a header', post([`X: a\r${length}`]), review),
    refused('Transfer-Encoding: identity', post(['Transfer-Encoding: identity']), review),
    refused('Transfer-Encoding: chunked, identity', post(['Transfer-Encoding: chunked, identity']), LAST),
    refused('Transfer-Encoding: xchunked', post(['Transfer-Encoding: xchunked']), LAST),
    refused('two Transfer-Encodings', post([CHUNKED, 'Transfer-Encoding: identity']), LAST),
    refused('a chunk size that overflows', post([CHUNKED]), 'fffffffffffffffff\r\n'),
    refused('a chunk size in 0x', post([CHUNKED]), '0x5\r\n{"a":\r\n'),
    refused('a negative chunk size', post([CHUNKED]), '-1\r\n'),
    refused('a chunk without its line end', post([CHUNKED]), '2\r\n{}0\r\n\r\n'),
    refused('a chunk size without CR', post([CHUNKED]), '2\n{}\r\n', LAST),
    refused('a chunk extension of 20 KB', post([CHUNKED]), chunk(review, `;a=${'x'.repeat(20_000)}`), LAST),
    refused('no Host', 'POST /mutate HTTP/1.1\r\n\r\n'),
    refused('a method in lower case', post([length], 'post /mutate HTTP/1.1'), review),
    refused('an unknown method', post([length], 'MUTATE /mutate HTTP/1.1'), review),
    refused('a path with a space', post([length], 'POST /mu tate HTTP/1.1'), review),
    refused('HTTP/0.9', 'GET /\r\n'),
    refused('HTTP/2 without negotiation', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
    refused('HTTP/9.9', post([length], 'POST /mutate HTTP/9.9'), review),
    either('headers of 20 KB', ['431'], post([`X: ${'x'.repeat(20_000)}`, length]), review),
    either('3,000 headers', ['200', '415', '431'], post([...Array.from({ length: 3000 }, () => 'a:'), length]), review),
    either('a line folded', ['200', '400'], post(['X: a\r\n b', length]), review),
    either('a folded Transfer-Encoding', ['200', '400'], post(['Transfer-Encoding:\r\n chunked']), chunk(review), LAST),
    either('line ends without CR', ['200', '400'], post([length]).replaceAll('\r\n', '\n'), review),
    either('chunks of one byte', ['200'], post([CHUNKED]), ...[...review].map((byte) => chunk(Buffer.of(byte))), LAST),
    either('a chunk extension', ['200'], post([CHUNKED]), chunk(review, ';a="b"'), LAST),
    either('trailers', ['200', '400'], post([CHUNKED, 'Trailer: Content-Length']), chunk(review), '0\r\nContent-Length: 5\r\n\r\n'),
    either('an absolute URI', ['200', '404'], post([length], 'POST http://other.example/mutate HTTP/1.1'), review),
    either('CONNECT', [''], post([], 'CONNECT other.example:443 HTTP/1.1')),
    either('Upgrade', ['200'], post([length, 'Connection: Upgrade', 'Upgrade: websocket']), review),
    either('Expect: 100-continue', ['100 200'], post([length, 'Expect: 100-continue']), review),
    either('another Expect', ['417'], post([length, 'Expect: 200-ok']), review),
    either('HTTP/1.0 with a length', ['200'], post([length], 'POST /mutate HTTP/1.0'), review),
    either('a body beyond the limit by its length', ['413'], post(['Content-Length: 9007199254740991']), review),
    either('10 requests in a row', [Array(10).fill('200').join(' ')], ...Array<Buffer>(10).fill(whole)),
    either('a broken request between good ones', ['200 400', '400'], whole, 'broken\r\n\r\n', whole),
    either('empty lines before a request', ['200'], '\r\n\r\n', whole),
  ];
}
