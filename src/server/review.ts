/**
 * admission.k8s.io/v1 AdmissionReview: decoding a request, encoding a response.
 * Source: k8s.io/api/admission/v1, types.go.
 */

import type { Operation } from 'fast-json-patch';
import { type Outcome, printable, REFUSALS, type Warning } from '../sideload/outcome.ts';
import { type Pod, podShape } from '../sideload/pod.ts';
import { boolean, misfit, object, string } from '../sideload/shape.ts';
import { RequestError } from './bodies.ts';

const API_VERSION = 'admission.k8s.io/v1';

/** What the webhook uses of an AdmissionRequest. */
export interface AdmissionRequest {
  readonly uid: string;
  readonly namespace: string;
  /** Whether the request creates a v1 Pod itself, not a subresource of one. */
  readonly createsPod: boolean;
  readonly dryRun: boolean;
  /** The object of the request, which fits `podShape`; empty where no pod is created. */
  readonly pod: Pod;
}

/** An API server sends a UUID, of 36 characters. It is echoed, so a long one would cost its length again. */
const LONGEST_UID = 128;

const kind = object({ group: string, version: string, kind: string });

const reviewShape = object({
  apiVersion: string,
  kind: string,
  request: object({ uid: string, kind, operation: string, subResource: string, namespace: string, dryRun: boolean, object: object({}) }),
});

/**
 * Decodes the JSON value of a request body.
 *
 * @throws RequestError 400 when it is not an admission.k8s.io/v1 AdmissionReview, or its pod has members of the wrong type
 */
export function decodeReview(body: unknown): AdmissionRequest {
  const wrong = misfit(reviewShape, body, 'body');
  if (wrong !== undefined) throw new RequestError(400, `not an AdmissionReview: ${wrong}`);
  const review = body as NonNullable<(typeof reviewShape)['passes']>;
  if (review.kind !== 'AdmissionReview' || review.apiVersion !== API_VERSION) {
    const found = `${JSON.stringify(review.apiVersion)}, kind ${JSON.stringify(review.kind)}`.slice(0, 200);
    throw new RequestError(400, `expected apiVersion "${API_VERSION}", kind "AdmissionReview", found apiVersion ${found}`);
  }
  const { request } = review;
  if (!request?.uid) throw new RequestError(400, 'not an AdmissionReview: request.uid is missing');
  if (request.uid.length > LONGEST_UID) {
    const found = `${request.uid.length} characters`;
    throw new RequestError(
      400,
      `not an AdmissionReview: request.uid has ${found}, more than the ${LONGEST_UID} allowed: an API server sends a UUID`,
    );
  }
  const createsPod =
    request.operation === 'CREATE' &&
    !request.subResource &&
    request.kind?.kind === 'Pod' &&
    request.kind.version === 'v1' &&
    !request.kind.group;
  const pod = (createsPod ? (request.object ?? {}) : {}) as Pod;
  if (createsPod) {
    const misshapen = misfit(podShape, pod, '');
    if (misshapen !== undefined) throw new RequestError(400, `request.object is not a v1 Pod: ${misshapen}`);
  }
  return { uid: request.uid, namespace: request.namespace ?? '', createsPod, dryRun: request.dryRun === true, pod };
}

const STATUS_REASONS = { 403: 'Forbidden', 422: 'Invalid', 503: 'ServiceUnavailable' } as const;

/** The AdmissionReview that answers a request. */
export interface ReviewResponse {
  readonly apiVersion: typeof API_VERSION;
  readonly kind: 'AdmissionReview';
  readonly response: {
    readonly uid: string;
    readonly allowed: boolean;
    readonly status?: { readonly status: 'Failure'; readonly code: number; readonly reason: string; readonly message: string };
    readonly patchType?: 'JSONPatch';
    /** JSON Patch, base64. */
    readonly patch?: string;
    readonly warnings?: readonly string[];
    /** The API server puts "WEBHOOK-NAME/" before each key, so a key has no slash of its own. */
    readonly auditAnnotations: Readonly<Record<string, string>>;
  };
}

/** The members that all responses have in common. The text is built here: a patch in base64 needs no escaping. */
function respond(uid: string, allowed: boolean, auditAnnotations: Record<string, string>, rest = ''): string {
  const head = `{"apiVersion":"${API_VERSION}","kind":"AdmissionReview","response":{"uid":${JSON.stringify(uid)},"allowed":${allowed}`;
  return `${head}${rest},"auditAnnotations":${JSON.stringify(auditAnnotations)}}}`;
}

/** A container's name for the audit log. No name is longer (RFC 1123), but the API server looks at names after webhooks. */
function nameOf(container: string): string {
  return printable(container.slice(0, 63));
}

/** The API server sends each to the client once, however often a webhook repeats it (apiserver, filters/warning.go). */
function warned(warnings: readonly Warning[] | undefined): string {
  return !warnings?.length ? '' : `,"warnings":${JSON.stringify(warnings.map(({ message }) => message))}`;
}

function encodePatch(operations: readonly Operation[]): string {
  return Buffer.from(JSON.stringify(operations)).toString('base64');
}

/**
 * Encodes an outcome as the text of an AdmissionReview (ReviewResponse). All three are responses with HTTP status 200:
 *
 * | outcome | allowed | besides                                                        |
 * |---------|---------|----------------------------------------------------------------|
 * | skip    | true    | warnings                                                       |
 * | inject  | true    | patch, warnings                                                |
 * | refuse  | false   | status with code 422 (change the pod), 403 (not allowed here) or 503 (unavailable too long) |
 */
export function encodeReview(uid: string, outcome: Outcome): string {
  switch (outcome.verdict) {
    case 'skip':
      // Another key: a pod may be asked about twice, and the API server complains of an annotation that changes.
      return respond(uid, true, { skipped: outcome.reason }, warned(outcome.warnings));
    case 'refuse': {
      const { code } = REFUSALS[outcome.reason];
      const status = { status: 'Failure', code, reason: STATUS_REASONS[code], message: outcome.message };
      return respond(uid, false, { reason: outcome.reason }, `,"status":${JSON.stringify(status)}`);
    }
    case 'inject': {
      const { reason, method, container, warnings, operations, imageDigest } = outcome;
      const patch = `,"patchType":"JSONPatch","patch":"${encodePatch(operations)}"`;
      const image = imageDigest === undefined ? {} : { image: imageDigest };
      return respond(uid, true, { reason, method, container: nameOf(container), ...image }, `${patch}${warned(warnings)}`);
    }
  }
}
