/** src/sideload/files.ts and the volumes of src/sideload/patch.ts in CEL. */

import {
  POLICY_VOLUME,
  PROXY_AUTH_FILE,
  PROXY_AUTH_MOUNT_PATH,
  PROXY_AUTH_VOLUME,
  SUPERVISOR_MOUNT_PATH,
} from '../../sideload/contract.ts';
import { add, append, lines, literal, mixed, type PolicyVariable, remove } from './cel.ts';

/** A regular expression for paths at, above or below one, behind that for oddly written paths. */
function overlaps(path: string): string {
  const parts = path.slice(1).split('/');
  const above = parts.slice(0, -1).map((_, index) => `${parts.slice(0, index + 1).join('/')}/?$`);
  return `variables.oddlyWritten + r'|^/($|${above.join('|')}|${parts.join('/')}(/|$))'`;
}

const PULL_POLICY = `?'pullPolicy': variables.pullPolicy == '' ? optional.none() : optional.of(dyn(variables.pullPolicy))`;
const image = (reference: string): string => `{'reference': dyn(${reference}), ${PULL_POLICY}}`;

export const FILES: readonly PolicyVariable[] = [
  { name: 'overlapsProxyAuth', expression: overlaps(PROXY_AUTH_MOUNT_PATH) },
  {
    name: 'proxyAuthSource',
    expression: mixed({
      secretName: `variables.proxyAuthSecret.split('/', 2)[0]`,
      items: `[{'key': variables.proxyAuthSecret.split('/', 2)[?1].orValue(''), 'path': '${PROXY_AUTH_FILE}'}]`,
      defaultMode: '256',
      optional: 'false',
    }),
  },
  {
    name: 'proxyAuthMounts',
    expression: `variables.proxyAuthSecret == '' ? []
: variables.container.?volumeMounts.orValue([]).filter(m, m.mountPath.matches(variables.overlapsProxyAuth))`,
  },
  {
    comment: 'Why the credentials of the proxy have no place in the pod.',
    name: 'proxyAuthTaken',
    expression: `variables.proxyAuthSecret == '' ? ''
: variables.proxyAuthMounts.size() > 1 ||
  variables.proxyAuthMounts.exists(m, m.name != '${PROXY_AUTH_VOLUME}' || has(m.subPath) || has(m.subPathExpr) ||
    !(m.mountPath in ['${PROXY_AUTH_MOUNT_PATH}', '${PROXY_AUTH_MOUNT_PATH}/'])) ||
  variables.container.?volumeDevices.orValue([]).exists(d, d.devicePath.matches(variables.overlapsProxyAuth)) ||
  variables.container.?terminationMessagePath.orValue('/dev/null').matches(variables.overlapsProxyAuth)
? 'mount-path-taken: container ' + variables.container.name + ' has something else at, above or below ${PROXY_AUTH_MOUNT_PATH}'
: object.spec.?volumes.orValue([]).exists(v, v.name == '${PROXY_AUTH_VOLUME}' &&
  (!has(v.secret) || dyn(v.secret) != dyn(variables.proxyAuthSource)))
? 'volume-name-taken: volume ${PROXY_AUTH_VOLUME} has another source than the operator gives it'
: ''`,
  },
  {
    comment: 'Volumes of files, with their places: the policy as the backstop describes it, and the credentials of the proxy.',
    name: 'files',
    expression: `variables.policyVolumes.map(wanted, {
  'mountPath': dyn(wanted.name == '${POLICY_VOLUME}' ? variables.policyPath[0] : variables.policyRulesPath[0]),
  'volume': dyn(wanted.source.startsWith('image:')
    ? {'name': dyn(wanted.name), 'image': dyn(${image(`wanted.source.substring('image:'.size())`)})}
    : {'name': dyn(wanted.name), 'projected': dyn({'defaultMode': dyn(256), 'sources': dyn(wanted.source.split(' ').map(source,
        {'configMap': {'name': dyn(source.split(':')[0]), 'optional': dyn(false),
          'items': dyn(source.split(':')[1].split(',').map(file, {'key': file, 'path': file}))}}))})})
}) +
(variables.proxyAuthSecret == '' ? [] : [{
  'mountPath': dyn('${PROXY_AUTH_MOUNT_PATH}'),
  'volume': dyn({'name': dyn('${PROXY_AUTH_VOLUME}'), 'secret': dyn(variables.proxyAuthSource)})
}])`,
  },
  {
    name: 'addedVolumes',
    expression: `(variables.method != 'none' ? [] : [
  variables.intended == 'image-volume'
  ? {'name': dyn(variables.volumeName), 'image': dyn(${image('variables.supervisorImage')})}
  : variables.intended == 'init-container'
  ? {'name': dyn(variables.volumeName), 'emptyDir': dyn({})}
  : {'name': dyn(variables.volumeName), 'hostPath': dyn({'path': ${literal(SUPERVISOR_MOUNT_PATH)}, 'type': 'Directory'})}]) +
variables.files.filter(f, !object.spec.?volumes.orValue([]).exists(v, v.name == f.volume.name)).map(f, f.volume)`,
  },
  {
    name: 'volumeOperations',
    expression: append(literal('/spec/volumes'), 'has(object.spec.volumes)', 'variables.addedVolumes'),
  },
  {
    name: 'wantedMounts',
    expression: `[variables.volumeName].map(name, {'name': dyn(name), 'mountPath': dyn(variables.path[0])}) +
variables.files.map(f, {'name': dyn(f.volume.name), 'mountPath': dyn(f.mountPath)})`,
  },
  {
    name: 'addedMounts',
    expression: `variables.wantedMounts.filter(w, !variables.container.?volumeMounts.orValue([]).exists(m,
  m.name == w.name && m.mountPath in [string(w.mountPath), w.mountPath + '/']))
.map(w, {'name': dyn(w.name), 'mountPath': dyn(w.mountPath), 'readOnly': dyn(true)})`,
  },
  {
    name: 'presentMounts',
    expression: `variables.container.?volumeMounts.orValue([]).transformList(i, m,
  variables.wantedMounts.exists(w, m.name == w.name && m.mountPath in [string(w.mountPath), w.mountPath + '/']),
  {'path': dyn(variables.at + '/volumeMounts/' + string(i)), 'mount': dyn(m)})`,
  },
  {
    name: 'mountOperations',
    expression: lines(
      ' +',
      `variables.presentMounts.filter(p, !p.mount.?readOnly.orValue(false)).map(p, ${add(`p.path + '/readOnly'`, 'true')})`,
      `variables.presentMounts.filter(p, p.mount.?mountPropagation.orValue('None') != 'None').map(p, ${remove(`p.path + '/mountPropagation'`)})`,
      append(`variables.at + '/volumeMounts'`, 'has(variables.container.volumeMounts)', 'variables.addedMounts'),
    ),
  },
];
