import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { json } from 'node:stream/consumers';
import type { Operation } from 'fast-json-patch';
import type { Pod } from '../../src/sideload/pod.ts';

/** Another mutating webhook. */
export interface OtherWebhook {
  /** How an API server calls it, at a path that begins with a slash. */
  readonly clientConfig: (path?: string) => { readonly url: string; readonly caBundle: string };
  readonly close: () => void;
}

/**
 * Serves another mutating webhook, with the certificate of ours.
 *
 * @param dir of our webhook, which has made its certificate there
 * @param operationsOf what it does to a pod that it is asked about at a path
 */
export async function serveOtherWebhook(
  dir: string,
  operationsOf: (pod: Pod, path: string) => readonly Operation[],
): Promise<OtherWebhook> {
  const tls = { cert: readFileSync(join(dir, 'tls', 'tls.crt')), key: readFileSync(join(dir, 'tls', 'tls.key')) };
  const server = createServer(tls, async (request, response) => {
    const { request: admission } = (await json(request)) as { request: { uid: string; object: Pod } };
    // The API server adds its timeout to the URL.
    const operations = operationsOf(admission.object, new URL(request.url ?? '', 'https://other').pathname);
    const patch = Buffer.from(JSON.stringify(operations)).toString('base64');
    response.setHeader('content-type', 'application/json');
    response.end(
      JSON.stringify({
        apiVersion: 'admission.k8s.io/v1',
        kind: 'AdmissionReview',
        response: { uid: admission.uid, allowed: true, patchType: 'JSONPatch', patch },
      }),
    );
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;
  const caBundle = readFileSync(join(dir, 'tls', 'ca.crt')).toString('base64');
  return {
    clientConfig: (path = '/') => ({ url: `https://127.0.0.1:${port}${path}`, caBundle }),
    close: () => void server.close(),
  };
}
