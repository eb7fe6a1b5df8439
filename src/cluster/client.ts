/**
 * All requests to the API server. May import tls/, observe/ and sideload/, and knows no options.
 *
 * This file loads the Kubernetes client, only where a cluster is used. The client's calls for each kind, with the models of all
 * kinds, take as much time and memory as the rest of a replica: serving does without them.
 */

import type { Configuration, KubeConfig } from '@kubernetes/client-node';
import { ExpectedError } from '../observe/expected-error.ts';

/** An API server that does not answer within this time is treated as unavailable. */
const REQUEST_TIMEOUT_MS = 10_000;

/** A cluster as serving uses it: `request` and watches. */
export interface Connection {
  readonly k8s: typeof import('./kubernetes-core.ts');
  readonly config: KubeConfig;
}

/** A cluster as the command line uses it, with the client's calls for each kind too. */
export interface Cluster extends Connection {
  readonly k8s: typeof import('./kubernetes.ts');
}

/** Which cluster to use, as for kubectl. */
export interface Access {
  /** A file, instead of those that KUBECONFIG names. */
  readonly kubeconfig?: string | undefined;
  /** The name of a context, instead of the current one. */
  readonly context?: string | undefined;
}

/**
 * Loads the client; its credentials are the pod's service account, or KUBECONFIG's outside a cluster.
 *
 * @throws ExpectedError when a file cannot be read, or lacks the context
 */
export async function connect(access: Access): Promise<Cluster> {
  const k8s = await import('./kubernetes.ts');
  return { k8s, config: readAccess(k8s, access) };
}

/** The same for serving. */
export async function connectToServe(): Promise<Connection> {
  const k8s = await import('./kubernetes-core.ts');
  return { k8s, config: readAccess(k8s, {}) };
}

function readAccess(k8s: Connection['k8s'], { kubeconfig, context }: Access): KubeConfig {
  const config = new k8s.KubeConfig();
  try {
    if (kubeconfig === undefined) config.loadFromDefault();
    else config.loadFromFile(kubeconfig);
  } catch (cause) {
    throw new ExpectedError(`the kubeconfig cannot be used: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
  // The client's own guess is a cluster at localhost:8080.
  if (
    config.contexts.length === 1 &&
    config.getCurrentContext() === 'loaded-context' &&
    config.getCurrentCluster()?.server === 'http://localhost:8080'
  )
    throw new ExpectedError('there is no kubeconfig: set KUBECONFIG, write ~/.kube/config, or give --kubeconfig=FILE');
  if (context !== undefined) {
    if (!config.getContextObject(context))
      throw new ExpectedError(`the kubeconfig cannot be used: there is no context ${JSON.stringify(context)}`);
    config.setCurrentContext(context);
  }
  return config;
}

/** What a request has besides its path. */
interface Content {
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: object;
  /** Of the body. */
  readonly contentType?: string;
}

/**
 * Sends a request with the client's credentials and transport, and reads the response as it is: the client's own calls convert
 * it with the models of all kinds.
 *
 * @param path such as /api/v1/nodes
 * @returns the object of the response
 * @throws the response's status as `code` and its text as `body`, as those calls do
 */
export async function request<T>(
  { k8s, config }: Connection,
  method: 'GET' | 'POST' | 'PATCH',
  path: string,
  { query = {}, body, contentType = 'application/json' }: Content = {},
): Promise<T> {
  const { baseServer, authMethods, httpApi } = config.makeApiClient(Settings).configuration;
  const context = baseServer.makeRequestContext(path, k8s.HttpMethod[method]);
  context.setHeaderParam('Accept', 'application/json');
  for (const [name, value] of Object.entries(query)) context.setQueryParam(name, value);
  if (body !== undefined) {
    context.setHeaderParam('Content-Type', contentType);
    context.setBody(JSON.stringify(body));
  }
  await authMethods.default?.applySecurityAuthentication(context);
  const response = await httpApi.send(context).toPromise();
  const text = await response.body.text();
  const { httpStatusCode: code } = response;
  if (code < 200 || code > 299) throw Object.assign(new Error(`HTTP status ${code}`), { code, body: text });
  return JSON.parse(text) as T;
}

/** The client makes it as one of its own calls, and so says whom they ask and how. */
class Settings {
  readonly configuration: Configuration;
  constructor(configuration: Configuration) {
    this.configuration = configuration;
  }
}

/** A request to the API server that failed. */
export class ApiError extends ExpectedError {
  override readonly name = 'ApiError';
  /** HTTP status of the API server's refusal; undefined where it did not answer. */
  readonly status: number | undefined;

  constructor(message: string, status: number | undefined, options?: ErrorOptions) {
    super(message, options);
    this.status = status;
  }
}

/** The HTTP status of an API server's refusal; undefined for anything else that went wrong. */
export function statusOf(error: unknown): number | undefined {
  if (error instanceof ApiError) return error.status;
  // client-node's own: its calls name it in one member, its watch in another.
  const { code, statusCode } = (error ?? {}) as { code?: unknown; statusCode?: unknown };
  return [code, statusCode].find((status) => typeof status === 'number');
}

/**
 * Waits for the response to a request, within bounds. The client's own message of a refusal holds headers and the whole body.
 *
 * @throws ApiError
 */
export async function call<T>(what: string, request: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new ApiError(`no answer within ${REQUEST_TIMEOUT_MS / 1000} s`, undefined)), REQUEST_TIMEOUT_MS);
  });
  try {
    return await Promise.race([request, timeout]);
  } catch (error) {
    const status = statusOf(error);
    const problem = status === undefined ? rootMessage(error) : `${messageOf(error)} (${status})`;
    throw new ApiError(`cannot ${what}: ${problem}`, status, { cause: error });
  } finally {
    clearTimeout(timer);
  }
}

function rootMessage(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message;
}

/** The message of the Status in the body of client-node's ApiException. */
function messageOf(error: unknown): string {
  const body = (error as { body?: unknown }).body;
  try {
    const { message } = (typeof body === 'string' ? JSON.parse(body) : body) as { message?: string };
    return message ?? 'refused';
  } catch {
    return 'refused';
  }
}

/** What is not there is undefined. */
export async function orUndefined<T>(request: Promise<T>): Promise<T | undefined> {
  try {
    return await request;
  } catch (error) {
    if (statusOf(error) === 404) return undefined;
    throw error;
  }
}
