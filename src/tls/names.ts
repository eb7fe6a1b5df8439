/** Names that a serving certificate is valid for. */
export interface ServingNames {
  readonly dns: readonly string[];
  readonly ips: readonly string[];
}

/** The names by which the API server, and a person on the same machine, may call a Service. */
export function namesOfService(service: string, namespace: string): ServingNames {
  const name = `${service}.${namespace}`;
  return { dns: [`${name}.svc`, name, service, `${name}.svc.cluster.local`, 'localhost'], ips: ['127.0.0.1', '::1'] };
}
