import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const MODULE = fileURLToPath(new URL('./prometheus-operator/', import.meta.url));

/**
 * The files with the CustomResourceDefinitions of PodMonitor and PrometheusRule, from the only Go module that
 * ./prometheus-operator/go.mod pins.
 *
 * @throws Error when Go is not installed, or the module cannot be had
 */
export function monitoringDefinitions(): string[] {
  const module = JSON.parse(execFileSync('go', ['mod', 'download', '-json'], { cwd: MODULE, encoding: 'utf8' })) as { Dir: string };
  return ['podmonitors', 'prometheusrules'].map((kind) =>
    join(module.Dir, 'example', 'prometheus-operator-crd', `monitoring.coreos.com_${kind}.yaml`),
  );
}
