/**
 * What a valid answer is, told from README.md, the AdmissionReview API and the request alone: nothing here asks the code
 * under test.
 */

import { posix } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import jsonPatch, { type Operation } from 'fast-json-patch';
import type { Container, Pod } from '../../src/sideload/pod.ts';
import { BODY_LIMIT } from './cases.ts';
import type { Answer, Sent } from './client.ts';

/** What an answer says: a label to count it under and, after an injection, the pod that comes out. */
export interface Judgement {
  readonly label: string;
  readonly patched?: Pod;
}

/** An answer that is not valid. */
export class InvalidAnswerError extends Error {}

function must(holds: boolean, complaint: string): asserts holds {
  if (!holds) throw new InvalidAnswerError(complaint);
}

// biome-ignore lint/suspicious/noExplicitAny: it is looked into because nothing is known about it
type Unknown = any;

function isObject(value: unknown): value is Record<string, Unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function parsed(text: string): { value: unknown } | undefined {
  try {
    return { value: JSON.parse(text) };
  } catch {
    return undefined;
  }
}

/** An API server cuts warnings at 256 characters; a refusal is printed in one line. */
const SENTENCE_LIMIT = 256;
/** README.md, "Endpoints": above the first a body is counted, above the second it is refused. */
const LARGE_BODY = 256 * 1024;
const MAX_VALUES = 70_000;
/** An error goes into the API server's message to the user, and into logs. */
const ERROR_BODY_LIMIT = 4096;
const RESPONSE_MEMBERS = ['uid', 'allowed', 'status', 'patchType', 'patch', 'warnings', 'auditAnnotations'];

/**
 * Judges an answer by what was sent.
 *
 * @throws InvalidAnswerError with a complaint whose first words tell its kind
 */
export function judge(sent: Sent, answer: Answer): Judgement {
  const { status } = answer;
  must(status < 500, `status ${status}`);
  if (sent.method === 'HEAD') {
    must(status === 404 && answer.body.length === 0, `HEAD is answered ${status}`);
    return { label: '404' };
  }
  must(/^application\/json\b/.test(answer.contentType), `content type of a ${status} is ${answer.contentType}`);
  const body = parsed(new TextDecoder('utf-8', { fatal: true }).decode(answer.body))?.value;
  must(isObject(body), `body of a ${status} is not a JSON object`);
  must(allowedStatuses(sent).includes(status), `status ${status} where ${allowedStatuses(sent).join(' or ')} was expected`);
  if (status === 200) return judgeReview(JSON.parse(readable(sent.body)), body);
  must(
    body.kind === 'Status' && body.apiVersion === 'v1' && body.status === 'Failure' && body.code === status,
    `body of a ${status} is not a metav1.Status`,
  );
  must(typeof body.message === 'string' && body.message !== '', `Status ${status} without a message`);
  must(answer.body.length <= ERROR_BODY_LIMIT, `body of a ${status} is longer than ${ERROR_BODY_LIMIT} bytes`);
  return { label: String(status) };
}

/** A byte order mark is allowed to be ignored (RFC 8259, section 8.1). */
const readable = (body: Buffer): string => body.toString().replace(/^\ufeff/, '');

function decoded(path: string): string | undefined {
  try {
    return decodeURIComponent(path);
  } catch {
    return undefined;
  }
}

function allowedStatuses({ method, path, headers, body }: Sent): readonly number[] {
  const target = decoded(path.split(/[?#]/, 1)[0] ?? '');
  if (target === undefined) return [400];
  // An absolute URI may be taken for its path (RFC 9112, section 3.2.2).
  if (method !== 'POST' || target.replace(/^http:\/\/[^/]*/, '') !== '/mutate') return [404];
  const type = headers['content-type'] ?? '';
  if (!/json/i.test(type)) return body.length > BODY_LIMIT ? [413, 415] : [415];
  if (body.length > BODY_LIMIT) return [413];
  // Among other large bodies it may have to wait; with more values than any pod it is too large.
  if (body.length > LARGE_BODY && valuesOf(body) > MAX_VALUES) return [413, 503];
  if (body.length > LARGE_BODY) return [200, 400, 415, 503];
  const json = parsed(readable(body));
  if (!json || !isReview(json.value)) return [400, 415];
  return /^application\/json$/i.test(type) ? [200, 400] : [200, 400, 415];
}

/** Commas and opening brackets: README.md says that a body may not have more. */
function valuesOf(body: Buffer): number {
  let values = 0;
  for (const byte of body) if (byte === 0x2c || byte === 0x5b || byte === 0x7b) values++;
  return values;
}

function isReview(value: unknown): boolean {
  return (
    isObject(value) &&
    value.apiVersion === 'admission.k8s.io/v1' &&
    value.kind === 'AdmissionReview' &&
    isObject(value.request) &&
    typeof value.request.uid === 'string' &&
    value.request.uid !== '' &&
    value.request.uid.length <= 128
  );
}

function judgeReview(review: Unknown, body: Record<string, Unknown>): Judgement {
  must(body.kind === 'AdmissionReview' && body.apiVersion === 'admission.k8s.io/v1', 'not an admission.k8s.io/v1 AdmissionReview');
  const { request } = review;
  const { response } = body;
  must(isObject(response), 'AdmissionReview without a response');
  must(response.uid === request.uid, `uid ${JSON.stringify(response.uid)} is not the one that was sent`);
  must(typeof response.allowed === 'boolean', 'allowed is no boolean');
  const foreign = Object.keys(response).filter((name) => !RESPONSE_MEMBERS.includes(name));
  must(foreign.length === 0, `members that no AdmissionResponse has: ${foreign}`);
  const { auditAnnotations, warnings = [] } = response;
  must(isObject(auditAnnotations), 'no audit annotations');
  for (const [name, value] of Object.entries(auditAnnotations))
    must(/^[A-Za-z0-9_.-]+$/.test(name) && typeof value === 'string', `audit annotation ${JSON.stringify(name)}`);
  must(Array.isArray(warnings), 'warnings are no list');
  for (const warning of warnings)
    must(
      typeof warning === 'string' && warning !== '' && warning.length < SENTENCE_LIMIT,
      `a warning of ${String(warning).length} characters`,
    );
  const leftAlone = response.allowed && response.patch === undefined;
  const reason = auditAnnotations[leftAlone ? 'skipped' : 'reason'];
  must(typeof reason === 'string', 'no reason code');
  const pod = request.object as Pod;
  if (!response.allowed) {
    judgeRefusal(response);
    must(isPodCreation(request) && labelOf(pod) !== undefined, `${reason}: refused what is no sandbox`);
    return { label: `refused ${reason}` };
  }
  must(response.status === undefined, 'allowed, with a status');
  if (leftAlone) {
    must(response.patchType === undefined, `${reason}: no patch, but its type`);
    must(warnings.length === 0 || reason === 'already-sideloaded', `${reason}: a warning about what is no sandbox`);
    must(mayBeLeftAlone(reason, request), `${reason}: a pod is left unchanged that must not be`);
    return { label: `left unchanged ${reason}` };
  }
  must(isPodCreation(request) && labelOf(pod) === 'true', `${reason}: changed what is no sandbox`);
  must(response.patchType === 'JSONPatch' && typeof response.patch === 'string', 'a patch without its type');
  const operations = parsed(Buffer.from(response.patch, 'base64').toString())?.value;
  must(Array.isArray(operations) && operations.length > 0, 'the patch is no list of operations');
  for (const operation of operations) judgeOperation(pod, operation);
  // Each is judged by what was sent: only from the end do elements that are removed leave the others where they were.
  const lastRemoved = new Map<string, number>();
  for (const { op, path } of operations) {
    const [, list, index] = /^(.*\/(?:volumeMounts|drop))\/(\d+)$/.exec(path) ?? [];
    if (op !== 'remove' || list === undefined) continue;
    must(
      Number(index) < (lastRemoved.get(list) ?? Number.POSITIVE_INFINITY),
      'the patch removes elements in an order that moves those that follow',
    );
    lastRemoved.set(list, Number(index));
  }
  const patched = applied(pod, operations);
  must(isGuarded(patched), `${reason}: after the patch the sandbox container is not guarded`);
  return { label: `changed ${reason}`, patched };
}

function judgeRefusal({ status, patch, patchType }: Record<string, Unknown>): void {
  must(isObject(status) && [403, 422].includes(status.code) && status.status === 'Failure', 'a refusal without a status 403 or 422');
  must(
    typeof status.message === 'string' && status.message !== '' && status.message.length < SENTENCE_LIMIT,
    `a refusal of ${String(status.message).length} characters`,
  );
  must(patch === undefined && patchType === undefined, 'a refusal with a patch');
}

function isPodCreation({ operation, kind, subResource }: Unknown): boolean {
  return operation === 'CREATE' && kind?.kind === 'Pod' && kind.version === 'v1' && !kind.group && !subResource;
}

/** The sandbox label, or `true` where only OpenShell's own marks the pod; undefined for what is no sandbox. */
function labelOf(pod: Pod): string | undefined {
  const labels = pod?.metadata?.labels;
  return labels?.['openshell.ai/sandbox'] ?? (labels?.['openshell.ai/managed-by'] === 'openshell' ? 'true' : undefined);
}

const TWO_POD_LABELS = ['openshell.ai/boundary-role', 'openshell.ai/boundary-pair', 'openshell.ai/component'];

function mayBeLeftAlone(reason: string, request: Unknown): boolean {
  const pod = request.object as Pod;
  switch (reason) {
    case 'not-a-pod-creation':
      return !isPodCreation(request);
    case 'not-labelled':
      return labelOf(pod) === undefined;
    case 'two-pod-openshell':
      return (
        pod.metadata?.labels?.['openshell.ai/sandbox'] === undefined &&
        TWO_POD_LABELS.some((label) => pod.metadata?.labels?.[label] !== undefined)
      );
    case 'opted-out':
      return labelOf(pod) === 'false';
    case 'mirror-pod':
      return pod.metadata?.annotations?.['kubernetes.io/config.mirror'] !== undefined;
    case 'already-sideloaded':
      return isGuarded(pod);
    default:
      return false;
  }
}

/** Which of the pod's containers is to be under the supervisor. */
function chosen(pod: Pod): Container | undefined {
  const containers = pod.spec?.containers ?? [];
  const annotations = pod.metadata?.annotations;
  const named = (wanted: string | undefined): Container | undefined => containers.find(({ name }) => name === wanted);
  const annotated = annotations?.['openshell.ai/sandbox-container'];
  if (annotated !== undefined) return named(annotated);
  const bearing = containers.find((container) => startsSupervisor(container) || mountsOf(container).length > 0);
  return named('agent') ?? bearing ?? named(annotations?.['kubectl.kubernetes.io/default-container']) ?? containers[0];
}

const BINARIES = ['/opt/openshell/bin/openshell-sandbox', '/opt/openshell/bin/usr/local/bin/openshell-sandbox'];
const startsSupervisor = ({ command }: Container): boolean => BINARIES.includes(command?.[0] ?? '');

const TRUSTED = /^ghcr\.io\/nvidia\/openshell(-community)?\/supervisor([:@]|$)/;
const MOUNT_PATH = '/opt/openshell/bin';
// Linux opens no path of more than 4,096 bytes.
const isMountPath = (path = ''): boolean => path.length <= 4096 && posix.resolve('/', path) === MOUNT_PATH;

const mountsOf = ({ volumeMounts }: Container) => (volumeMounts ?? []).filter(({ mountPath }) => isMountPath(mountPath ?? ''));

/** Variables that would make a supervisor guard less, with the values that every sandbox has. */
const HARMLESS: Readonly<Record<string, string>> = {
  OPENSHELL_SUPERVISOR_TOPOLOGY: '',
  OPENSHELL_NETWORK_ENFORCEMENT_MODE: '',
  OPENSHELL_OCI_IMAGE_USER: '',
  OPENSHELL_NETWORK_RUNTIME_CAPABILITIES: '',
  OPENSHELL_NETWORK_BINARY_IDENTITY: 'required',
};

/** Whether the supervisor is told nothing by which it would guard less. The driver's sidecars are told otherwise. */
function isPinned({ command, args, env }: Container): boolean {
  if ([...(command ?? []), ...(args ?? [])].includes('--mode=process')) return true;
  return Object.entries(HARMLESS).every(([name, value]) => {
    const entries = (env ?? []).filter((variable) => variable.name === name);
    return entries.length > 0 && entries.every((entry) => !entry.valueFrom && (entry.value ?? '') === value);
  });
}

/**
 * Whether the sandbox container starts the supervisor from a read-only mount of a volume that holds a trusted one, and tells it
 * nothing by which it would guard less.
 */
function isGuarded(pod: Pod): boolean {
  const { spec } = pod;
  const container = chosen(pod);
  if (!container || !startsSupervisor(container) || !isPinned(container)) return false;
  const [mount, ...more] = mountsOf(container);
  if (!mount?.readOnly || mount.subPath || more.length > 0) return false;
  // The API server refuses a mount without a name.
  const volume = spec?.volumes?.find(({ name }) => name === (mount.name ?? 'openshell-supervisor-bin'));
  if (volume?.image) return TRUSTED.test(volume.image.reference ?? '');
  if (volume?.emptyDir)
    return (spec?.initContainers ?? []).some(
      ({ image, volumeMounts }) => TRUSTED.test(image ?? '') && volumeMounts?.some(({ name }) => name === volume.name),
    );
  return isMountPath(volume?.hostPath?.path ?? '');
}

/** Where a patch may do something, by operation. Source: README.md, "What it does to a pod". */
const CONTAINER = String.raw`/spec/containers/\d+`;
const CONTEXT = `${CONTAINER}/securityContext`;
const pattern = (...paths: string[]): RegExp => new RegExp(`^(${paths.join('|')})$`);
/** A member that was absent, null or an empty list. */
const FILLS = pattern(
  '/metadata',
  '/metadata/annotations',
  '/spec/volumes',
  '/spec/initContainers',
  `${CONTAINER}/(volumeMounts|env|securityContext)`,
  `${CONTEXT}/(appArmorProfile|capabilities|capabilities/add)`,
);
/** One more element of a list. */
const APPENDS = pattern('/spec/(volumes|initContainers)/-', `${CONTAINER}/(volumeMounts|env)/-`, `${CONTEXT}/capabilities/add/-`);
/** What the contract says is replaced. */
const SETS = pattern(
  '/metadata/annotations/openshell\\.ai~1sideloaded',
  `${CONTAINER}/(command|args)`,
  `${CONTAINER}/volumeMounts/\\d+/readOnly`,
  `${CONTEXT}/(runAsUser|runAsNonRoot)`,
);
const PINNED = pattern(
  'OPENSHELL_(SANDBOX_[UG]ID|OCI_IMAGE_USER|SUPERVISOR_TOPOLOGY|CONTAINER_IMAGE|POLICY_(RULES|DATA|POLL_INTERVAL_SECS)|LOG_PUSH_LEVEL)',
  'OPENSHELL_NETWORK_(ENFORCEMENT_MODE|RUNTIME_CAPABILITIES|BINARY_IDENTITY)',
);

/** What was added to an install container is taken out of it again. */
const TAKEN_OUT = pattern('/spec/initContainers/\\d+/[^/]+', '/spec/initContainers/\\d+/volumeMounts/\\d+');
const PUT_RIGHT = pattern('/spec/initContainers/\\d+/(securityContext|securityContext/runAsNonRoot|volumeMounts/\\d+/readOnly)');
const WRITTEN = ['name', 'image', 'command', 'args', 'resources', 'securityContext', 'volumeMounts'];

function isOfInstaller(path: string, at: (pointer: string) => Unknown): boolean {
  const [, index = '', member = ''] = /^\/spec\/initContainers\/(\d+)\/([^/]+)/.exec(path) ?? [];
  const { command, args } = at(`/spec/initContainers/${index}`) ?? {};
  const isWritten = TAKEN_OUT.test(path) && path.split('/').length === 5 && WRITTEN.includes(member);
  return [...(command ?? []), ...(args ?? [])].some((word) => /\/openshell-sandbox( |$)/.test(word)) && !isWritten;
}

/** An operation may touch nothing of the user's that the contract does not name: what no operation covers stays as it was, digit by digit. */
function judgeOperation(pod: Pod, { op, path, ...rest }: Unknown): void {
  const at = (pointer: string): Unknown => jsonPatch.getValueByPointer(pod, pointer);
  const fine =
    (op === 'add' && APPENDS.test(path)) ||
    (op === 'add' && SETS.test(path) && keepsWords(path, rest.value, at)) ||
    (op === 'add' && FILLS.test(path) && isEmpty(path, at)) ||
    (op === 'replace' && /\/env\/\d+$/.test(path) && PINNED.test(at(path)?.name)) ||
    (op === 'remove' && TAKEN_OUT.test(path) && isOfInstaller(path, at)) ||
    (op === 'add' && PUT_RIGHT.test(path)) ||
    (op === 'remove' && pattern(`${CONTAINER}/volumeMounts/\\d+/mountPropagation`).test(path)) ||
    (op === 'remove' && pattern(`${CONTEXT}/capabilities/drop/\\d+`).test(path) && at(path)?.toUpperCase() !== 'ALL');
  must(fine, `the patch does what the contract does not say: ${op} ${String(path).replaceAll(/\d+/g, 'N')}`);
}

/** Whether there was nothing at a pointer. A member of nothing was nothing. */
function isEmpty(path: string, at: (pointer: string) => Unknown): boolean {
  const parent = path.slice(0, path.lastIndexOf('/'));
  if (parent !== '' && isEmpty(parent, at)) return true;
  const value = at(path);
  return value === undefined || value === null || (Array.isArray(value) && value.length === 0);
}

/**
 * Args become what the container ran before, after `--`; nothing else sets them. Of a supervisor that was there, its options go;
 * of a program that another webhook wrapped around the supervisor, the supervisor with its options.
 */
function keepsWords(path: string, value: Unknown, at: (pointer: string) => Unknown): boolean {
  if (!path.endsWith('/args')) return true;
  const container = at(path.slice(0, -'/args'.length)) as Container;
  const words = [...(container.command ?? []), ...(container.args ?? [])];
  const supervisor = words.findIndex((word, index) => BINARIES.includes(word) && (index === 0 || words[index + 1] === '--workdir'));
  const end = words.indexOf('--', supervisor + 1);
  const kept = supervisor === -1 || end === -1 ? words : words.toSpliced(supervisor, end + 1 - supervisor);
  if (supervisor === 0 && end === -1) return isDeepStrictEqual(value, []);
  return [words, kept].some((wanted) => isDeepStrictEqual(value, ['--', ...wanted]));
}

function applied(pod: Pod, operations: readonly Operation[]): Pod {
  try {
    // Validated; applied to the parsed request, which nothing else reads afterwards.
    return jsonPatch.applyPatch(pod, operations, true, true).newDocument;
  } catch (error) {
    throw new InvalidAnswerError(`the patch does not apply: ${String(error).split('\n', 1)[0]}`);
  }
}
