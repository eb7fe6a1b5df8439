import jsonPatch from 'fast-json-patch';
import { readConfig } from '../src/config/config.ts';
import { decide } from '../src/sideload/decide.ts';
import { UNKNOWN_CLUSTER } from '../src/sideload/settings.ts';

const { sideload } = readConfig([], {});

/**
 * Looks at an answer before anything is measured.
 *
 * @throws Error when it is not what the server has to answer
 */
export function checkAnswers(name: string, review: string, { status, body }: { status: number; body: string }): void {
  const { request } = JSON.parse(review);
  const { response } = JSON.parse(body);
  const fail = (what: string): never => {
    throw new Error(`${name}: ${what}: ${body.slice(0, 300)}`);
  };
  const expected = decide(request.object, sideload, UNKNOWN_CLUSTER);
  if (status !== 200 || response.allowed !== (name === 'floor' || expected.verdict !== 'refuse')) fail(`HTTP ${status}`);
  if (name === 'floor') return;
  if (response.uid !== request.uid) fail('the uid of another review');
  if (expected.verdict !== 'inject') {
    if ((response.auditAnnotations.reason ?? response.auditAnnotations.skipped) !== expected.reason) fail(`not ${expected.reason}`);
    return;
  }
  const operations = JSON.parse(Buffer.from(response.patch, 'base64').toString());
  const { newDocument } = jsonPatch.applyPatch(request.object, operations, true);
  const outcome = decide(newDocument, sideload, UNKNOWN_CLUSTER);
  if (outcome.reason !== 'already-sideloaded') fail(`the pod is not under its supervisor (${outcome.reason})`);
}
