/** OpenTelemetry's own variables, as far as they decide whether and how spans are exported; its packages read the others. */

type Environment = Readonly<Record<string, string | undefined>>;

const [ENDPOINT, TRACES_ENDPOINT] = ['OTEL_EXPORTER_OTLP_ENDPOINT', 'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT'];
const [PROTOCOL, TRACES_PROTOCOL] = ['OTEL_EXPORTER_OTLP_PROTOCOL', 'OTEL_EXPORTER_OTLP_TRACES_PROTOCOL'];

export interface Tracing {
  /** Whether to export spans. */
  readonly enabled: boolean;
  /** What is wrong with the variables. Only the webhook looks at this: a shell may set them for other programs. */
  readonly problems: readonly string[];
}

/**
 * Whether spans are exported, and what is wrong with the variables if they are. An empty variable counts as none.
 * Source: opentelemetry.io/docs/specs/otel/protocol/exporter, and …/configuration/sdk-environment-variables.
 */
export function tracingFrom(env: Environment): Tracing {
  const name = [TRACES_ENDPOINT, ENDPOINT].find((variable) => env[variable]);
  const isOff = env.OTEL_SDK_DISABLED?.toLowerCase() === 'true' || env.OTEL_TRACES_EXPORTER === 'none';
  if (name === undefined || isOff) return { enabled: false, problems: [] };
  const problems: string[] = [];
  const endpoint = env[name] ?? '';
  if (!/^https?:$/.test(URL.parse(endpoint)?.protocol ?? ''))
    problems.push(`${name} ${JSON.stringify(endpoint)}: expected a URL, such as http://collector:4318`);
  const protocol = [TRACES_PROTOCOL, PROTOCOL].find((variable) => env[variable]);
  if (protocol !== undefined && env[protocol] !== 'http/protobuf')
    problems.push(`${protocol} ${JSON.stringify(env[protocol])}: only http/protobuf is supported, at port 4318 of a collector`);
  return { enabled: true, problems };
}
