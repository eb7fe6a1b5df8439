import { describe, expect, it } from 'vitest';
import { keepsByVersion } from '../src/cluster/image-volumes.ts';
import { isSchedulableLinux, mountsImageVolumes, mountsMappedImageVolumes } from '../src/cluster/node-support.ts';

const nodeInfo = (kubeletVersion: string, containerRuntimeVersion: string, operatingSystem = 'linux') =>
  ({ status: { nodeInfo: { kubeletVersion, containerRuntimeVersion, operatingSystem } } }) as Parameters<typeof mountsImageVolumes>[0];

describe('a node mounts image volumes', () => {
  it.each([
    ['v1.35.0', 'containerd://2.1.0'],
    ['v1.36.3', 'containerd://2.2.9'],
    ['v1.35.1-eks-113cf36', 'containerd://2.1.4-k3s1'],
    ['v1.35.0+k3s1', 'containerd://v2.1.3'],
    ['v1.36.0', 'cri-o://1.33.2'],
    ['v1.100.0', 'cri-o://2.0.0'],
    ['v2.0.0', 'containerd://3.0.0'],
  ])('with kubelet %s and %s', (kubelet, runtime) => {
    expect(mountsImageVolumes(nodeInfo(kubelet, runtime))).toBe(true);
  });

  it.each([
    ['v1.34.9', 'containerd://2.1.4'],
    ['v1.35.0', 'containerd://2.0.5'],
    ['v1.35.0', 'containerd://1.7.27'],
    ['v1.35.0', 'cri-o://1.32.4'],
    ['v1.35.0', 'docker://27.0.0'],
    ['v1.35.0', 'containerd://'],
    ['v1.35.0', '__proto__://9.9'],
    ['v1.35.0', ''],
    ['', 'containerd://2.1.4'],
    ['devel', 'containerd://2.1.4'],
  ])('but is not known to with kubelet "%s" and "%s"', (kubelet, runtime) => {
    expect(mountsImageVolumes(nodeInfo(kubelet, runtime))).toBe(false);
  });

  it('but is not known to while it has not reported', () => {
    expect([mountsImageVolumes({}), mountsImageVolumes({ status: {} })]).toEqual([false, false]);
  });
});

describe('a node mounts image volumes into user namespaces', () => {
  it.each([
    ['containerd://2.1.7', true],
    ['containerd://2.1.6', false],
    ['containerd://2.2.2', true],
    ['containerd://2.2.9', true],
    ['containerd://2.2.1', false],
    ['containerd://2.3.0', true],
    ['containerd://3.0.0', true],
    ['containerd://2.0.9', false],
    // A version before the release, and what others make of it, may lack the change.
    ['containerd://2.1.7-rc.1', false],
    ['containerd://2.2.3-k3s1', false],
    ['cri-o://1.35.0', false],
    ['', false],
  ])('with %s: %s', (runtime, expected) => {
    expect(mountsMappedImageVolumes(nodeInfo('v1.36.3', runtime))).toBe(expected);
    expect(mountsMappedImageVolumes(nodeInfo('v1.34.0', runtime))).toBe(false);
  });
});

describe('a sandbox may run', () => {
  it.each([
    { why: 'on a Linux node', node: nodeInfo('v1.36.3', ''), expected: true },
    { why: 'on a node that has not reported', node: {}, expected: true },
    { why: 'not on a Windows node', node: nodeInfo('v1.36.3', '', 'windows'), expected: false },
    { why: 'not on a cordoned node', node: { ...nodeInfo('v1.36.3', ''), spec: { unschedulable: true } }, expected: false },
  ])('$why', ({ node, expected }) => {
    expect(isSchedulableLinux(node)).toBe(expected);
  });
});

describe('an API server that cannot be asked', () => {
  it.each([
    ['v1.35.0', true],
    ['v1.36.3', true],
    ['v1.35.2-gke.100', true],
    ['v1.100.0', true],
    ['v2.0.0', true],
    ['v1.34.4', false],
    ['v1.34.4+k3s1', false],
    ['v0.0.0-master', false],
    ['', false],
  ])('of version "%s" keeps image volumes: %s', (version, expected) => {
    expect(keepsByVersion(version)).toBe(expected);
  });
});
