/**
 * All requests to the API server. May import tls/, observe/ and sideload/, and knows no options.
 *
 * This file loads the Kubernetes client, only where a cluster is used: importing it costs half a second and tens of megabytes.
 */

import type { KubeConfig } from '@kubernetes/client-node';

/** An API server that does not answer within this time is treated as away. */
const REQUEST_TIMEOUT_MS = 10_000;

type KubernetesClient = typeof import('@kubernetes/client-node');

export interface Cluster {
  readonly k8s: KubernetesClient;
  readonly config: KubeConfig;
}

/** Which cluster is meant, as kubectl is told. */
export interface Access {
  /** A file, instead of those that KUBECONFIG names. */
  readonly kubeconfig?: string | undefined;
  /** The name of a context, instead of the current one. */
  readonly context?: string | undefined;
}

/**
 * Loads the client; its credentials are the pod's service account, or KUBECONFIG's outside a cluster.
 *
 * @throws Error when a file cannot be read, or lacks the context
 */
export async function connect({ kubeconfig, context }: Access = {}): Promise<Cluster> {
  const k8s = await import('@kubernetes/client-node');
  const config = new k8s.KubeConfig();
  if (kubeconfig === undefined) config.loadFromDefault();
  else config.loadFromFile(kubeconfig);
  if (context !== undefined) {
    if (!config.getContextObject(context)) throw new Error(`there is no context ${JSON.stringify(context)}`);
    config.setCurrentContext(context);
  }
  return { k8s, config };
}

/** The status code of an API server's refusal; undefined for anything else that went wrong. */
export function statusOf(error: unknown): number | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'number' ? error.code : undefined;
}

/**
 * Waits for an answer within bounds, and turns a refusal into a sentence: the client's own message holds headers and the
 * whole body.
 *
 * @throws Error with `code` where the API server refused
 */
export async function answer<T>(what: string, request: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`cannot ${what}: no answer within ${REQUEST_TIMEOUT_MS / 1000} s`)), REQUEST_TIMEOUT_MS);
  });
  try {
    return await Promise.race([request, timeout]);
  } catch (error) {
    const code = statusOf(error);
    if (code === undefined)
      throw error instanceof Error ? new Error(`cannot ${what}: ${rootMessage(error)}`, { cause: error.cause }) : error;
    throw Object.assign(new Error(`cannot ${what}: ${messageOf(error)} (${code})`), { code });
  } finally {
    clearTimeout(timer);
  }
}

function rootMessage(error: Error): string {
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
