import { ExpectedError } from '../observe/expected-error.ts';

/**
 * Why an image cannot be read. `unavailable` and `limited` pass by themselves; all others need a change of the image, of its
 * name, of credentials, or of the options.
 */
export type ImageProblem =
  | 'not-found'
  | 'unauthorized'
  | 'limited'
  | 'unavailable'
  | 'untrusted'
  | 'forbidden-host'
  | 'no-linux'
  | 'broken';

const LONGEST_MESSAGE = 500;

/** An image that cannot be read, with a message that names it and what was seen. */
export class ImageError extends ExpectedError {
  override readonly name = 'ImageError';
  readonly problem: ImageProblem;

  /** @param message may hold what a registry sent: it is cut, and copied, since a part of a text keeps the whole in memory */
  constructor(problem: ImageProblem, message: string) {
    super(Buffer.from(message.slice(0, LONGEST_MESSAGE)).toString());
    this.problem = problem;
  }

  /** Whether it may be gone at the next try. */
  get passes(): boolean {
    return this.problem === 'unavailable' || this.problem === 'limited';
  }
}
