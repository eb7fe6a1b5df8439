/** Whether what an image runs can be read from its registry, by who runs this command. */

import type { ImageProblem } from '../../registry/image-error.ts';
import { openUserSources } from '../image-lookup.ts';
import type { Context } from './context.ts';
import { type Finding, failed, ok, warning } from './finding.ts';
import type { Group } from './run.ts';

const READ_MORE = 'docs/entrypoint.md';

/** What to do about each problem. */
const FIXES: Readonly<Record<ImageProblem | 'not-mapped', string>> = {
  'not-found': `check registry, name and tag; private registries also say so without credentials: docker login, for the webhook ${READ_MORE}#private-registries`,
  unauthorized: `docker login REGISTRY, then again; for the webhook: ${READ_MORE}#private-registries`,
  limited: 'docker login REGISTRY raises the limit; for the webhook: --registry-config, --registry-mirrors or --entrypoint-map',
  unavailable: 'curl -sSI https://REGISTRY/v2/ says whether it responds; a proxy is not used',
  untrusted: `--registry-ca=FILE with the CA of its certificate; or --registry-plain-http=REGISTRY if it has no TLS`,
  'forbidden-host': '--registry-hosts or --registry-plain-http has to list the registry',
  'no-linux': 'sandboxes run on Linux: choose an image that is built for it',
  broken: 'check the name; if it is right, the registry sends what no image has: report it to its operator',
  'not-mapped': `add the image to --entrypoint-map: ${READ_MORE}#without-a-registry`,
};

async function readImage({ config, image = '' }: Context): Promise<Finding> {
  const { lookUp } = await openUserSources(config);
  const found = await lookUp({ image, forVariables: false, namespace: '', pullSecrets: [] });
  if (found.image.from === 'nowhere') return failed(found.image.problem, FIXES[found.outcome as keyof typeof FIXES] ?? READ_MORE);
  const { from, digest, configs } = found.image;
  const words = [...new Set(configs.map(({ entrypoint, cmd }) => JSON.stringify([...entrypoint, ...cmd])))];
  const on = configs.map(({ platform }) => platform.architecture).filter(Boolean);
  const where = `${from === 'map' ? "the operator's map" : digest}${on.length > 0 ? ` (${on.join(', ')})` : ''}`;
  if (words.length > 1)
    return warning(
      `${image} runs ${words.join(' or ')}, by platform: ${where}`,
      'sandboxes of it need a command, or nodeSelector kubernetes.io/arch',
    );
  return words[0] === '[]'
    ? warning(`${image} has neither ENTRYPOINT nor CMD: ${where}`, 'sandboxes of it need a command')
    : ok(`${image} runs ${words[0]}: ${where}`);
}

export const IMAGE: Group<Context> = { heading: 'image', checks: [{ name: 'registry', run: readImage }] };
