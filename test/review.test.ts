import { describe, expect, it } from 'vitest';
import { RequestError } from '../src/server/bodies.ts';
import { decodeReview, encodeReview } from '../src/server/review.ts';
import { inject, REFUSALS, type RefuseReason, refuse, skip } from '../src/sideload/outcome.ts';
import { sandbox } from './pods.ts';
import { review } from './reviews.ts';

describe('decoding an AdmissionReview', () => {
  it('takes what the API server sends', () => {
    const pod = sandbox();
    expect(decodeReview(review(pod, { dryRun: true }))).toEqual({
      uid: 'u-1',
      namespace: 'agents',
      createsPod: true,
      dryRun: true,
      pod: { kind: 'Pod', apiVersion: 'v1', ...pod },
    });
  });

  it.each([
    { why: 'an update', request: { operation: 'UPDATE' } },
    { why: 'a subresource', request: { subResource: 'ephemeralcontainers' } },
    { why: 'another kind', request: { kind: { group: '', version: 'v1', kind: 'Service' } } },
    { why: 'another group', request: { kind: { group: 'example.com', version: 'v1', kind: 'Pod' } } },
    { why: 'a deletion, which has no object', request: { operation: 'DELETE', object: null } },
  ])('sees no pod creation in $why', ({ request }) => {
    const { createsPod, pod } = decodeReview(review({ metadata: { name: 7 } } as never, request));
    expect([createsPod, pod]).toEqual([false, {}]);
  });

  const withSpec = (spec: object) => review({ metadata: {}, spec } as never);
  it.each([
    { body: undefined, says: 'body is a undefined, not an object' },
    { body: null, says: 'body is null, not an object' },
    { body: [], says: 'body is a list, not an object' },
    { body: {}, says: 'expected apiVersion "admission.k8s.io/v1", kind "AdmissionReview", found apiVersion undefined, kind undefined' },
    { body: { ...review(sandbox()), apiVersion: 'admission.k8s.io/v1beta1' }, says: 'found apiVersion "admission.k8s.io/v1beta1"' },
    { body: { ...review(sandbox()), kind: 7 }, says: 'body.kind is a number, not a string' },
    { body: { ...review(sandbox()), request: null }, says: 'request.uid is missing' },
    { body: review(sandbox(), { uid: '' }), says: 'request.uid is missing' },
    { body: review(sandbox(), { uid: 'x'.repeat(129) }), says: 'request.uid has 129 characters, more than the 128 allowed' },
    { body: review(sandbox(), { object: 'x' }), says: 'body.request.object is a string, not an object' },
    { body: review({ metadata: { labels: { a: 1 } } } as never), says: 'metadata.labels["a"] is a number, not a string' },
    { body: withSpec({ containers: {} }), says: 'spec.containers is an object, not a list' },
    { body: withSpec({ containers: [null] }), says: 'spec.containers[0] is null, not an object' },
    { body: withSpec({ containers: [{ command: ['a', 1] }] }), says: 'spec.containers[0].command[1] is a number, not a string' },
    {
      body: withSpec({ containers: [{ securityContext: { runAsUser: 1.5 } }] }),
      says: 'spec.containers[0].securityContext.runAsUser is a number, not an integer',
    },
    { body: withSpec({ volumes: [{ name: 'a', image: [] }] }), says: 'spec.volumes[0].image is a list, not an object' },
  ])('refuses a body with a sentence: $says', ({ body, says }) => {
    expect(() => decodeReview(body)).toThrow(RequestError);
    expect(() => decodeReview(body)).toThrow(says);
  });
});

describe('encoding an outcome', () => {
  it('echoes the uid and gives the reason in an audit annotation without a slash', () => {
    expect(JSON.parse(encodeReview('u-"7', skip('opted-out')))).toEqual({
      apiVersion: 'admission.k8s.io/v1',
      kind: 'AdmissionReview',
      response: { uid: 'u-"7', allowed: true, auditAnnotations: { skipped: 'opted-out' } },
    });
  });

  it('names the digest of an image that was looked up, for the audit log', () => {
    const rest = { method: 'image-volume' as const, container: 'agent', operations: [], warnings: [] };
    const audited = (imageDigest: string | undefined) =>
      JSON.parse(encodeReview('u', inject('injected', { ...rest, imageDigest }))).response.auditAnnotations;
    expect(audited('sha256:abc')).toEqual({ reason: 'injected', method: 'image-volume', container: 'agent', image: 'sha256:abc' });
    expect(audited(undefined)).toEqual({ reason: 'injected', method: 'image-volume', container: 'agent' });
  });

  it.each(Object.keys(REFUSALS) as RefuseReason[])('refuses with a status: %s', (reason) => {
    const { response } = JSON.parse(encodeReview('u', refuse(reason, 'change it')));
    expect(response).toMatchObject({ allowed: false, status: { status: 'Failure', message: 'change it', code: REFUSALS[reason].code } });
    expect([403, 422, 503]).toContain(response.status?.code);
    expect(response.patch).toBeUndefined();
  });
});
