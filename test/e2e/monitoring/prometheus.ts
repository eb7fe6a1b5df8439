import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { requirePrograms } from '../cluster/debian.ts';
import { freePorts, type Process, start, waitFor } from '../cluster/process.ts';

type Labels = Readonly<Record<string, string>>;

/** The numbers of one series: seconds since 1970, and the value (NaN where a quotient has none). */
interface Series {
  readonly metric: Labels;
  readonly points: readonly (readonly [seconds: number, value: number])[];
}

/** What Prometheus is told in its own words (scrape_configs). */
export type ScrapeConfig = Readonly<Record<string, unknown>>;

interface Alert {
  readonly labels: Labels;
  readonly annotations: Labels;
  readonly state: 'pending' | 'firing';
}

/** A real Prometheus. */
export interface Prometheus {
  readonly process: Process;
  /** The value of every series at one moment (now). Throws what Prometheus says of a bad expression. */
  readonly query: (expression: string, at?: number) => Promise<Series[]>;
  /** The values of every series from `start` to `end`, seconds since 1970, one each `step` seconds. */
  readonly queryRange: (expression: string, start: number, end: number, step: number) => Promise<Series[]>;
  /** The alerts that are pending or firing. */
  readonly alerts: () => Promise<Alert[]>;
  readonly stop: () => Promise<void>;
}

/**
 * Starts Debian's Prometheus with its state in `dir`, and waits until it is ready.
 *
 * @param interval seconds between two scrapes, and between two evaluations of the rules
 * @param rules a file with groups of rules
 */
export async function startPrometheus(
  dir: string,
  interval: number,
  scrapeConfigs: readonly ScrapeConfig[],
  rules: string,
): Promise<Prometheus> {
  const { prometheus } = requirePrograms({ prometheus: 'prometheus' });
  const [port = 0] = await freePorts(1);
  const every = `${interval}s`;
  const config = {
    global: { scrape_interval: every, scrape_timeout: every, evaluation_interval: every },
    rule_files: [rules],
    scrape_configs: scrapeConfigs,
  };
  const file = join(dir, 'prometheus.yaml');
  writeFileSync(file, stringify(config));
  const process = start(
    'prometheus',
    prometheus,
    [`--config.file=${file}`, `--storage.tsdb.path=${join(dir, 'prometheus')}`, `--web.listen-address=127.0.0.1:${port}`],
    join(dir, 'prometheus.log'),
  );
  const address = `http://127.0.0.1:${port}`;
  const ready = (): Promise<boolean> =>
    fetch(`${address}/-/ready`).then(
      ({ ok }) => ok,
      () => false,
    );
  await waitFor('a ready Prometheus', ready, [process]);

  const ask = async (path: string, parameters: Record<string, string>): Promise<never> => {
    const search = new URLSearchParams(parameters);
    const answer = (await (await fetch(`${address}/api/v1/${path}?${search}`)).json()) as { error?: string; data: never };
    if (answer.error !== undefined) throw new Error(`${parameters.query ?? path}: ${answer.error}`);
    return answer.data;
  };
  const number = ([seconds, value]: [number, string]): [number, number] => [seconds, Number(value.replace('Inf', 'Infinity'))];
  return {
    process,
    query: async (query, at = Date.now() / 1000) => {
      const { result } = (await ask('query', { query, time: String(at) })) as { result: { metric: Labels; value: [number, string] }[] };
      return result.map(({ metric, value }) => ({ metric, points: [number(value)] }));
    },
    queryRange: async (query, begin, end, step) => {
      const { result } = (await ask('query_range', { query, start: String(begin), end: String(end), step: String(step) })) as {
        result: { metric: Labels; values: [number, string][] }[];
      };
      return result.map(({ metric, values }) => ({ metric, points: values.map(number) }));
    },
    alerts: async () => ((await ask('alerts', {})) as { alerts: Alert[] }).alerts,
    stop: () => process.stop(),
  };
}
