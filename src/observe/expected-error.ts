/**
 * Something outside the program is not as it has to be. The message names it and is all that a person needs; any other error is
 * a defect, whose stack is of use.
 */
export class ExpectedError extends Error {
  override readonly name: string = 'ExpectedError';
}
