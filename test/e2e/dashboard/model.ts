import { readFileSync } from 'node:fs';

/** A colour by its name in Grafana, from a value upwards; the first step has no value. */
interface Threshold {
  readonly value: number | null;
  readonly color: string;
}

interface FieldOptions {
  readonly unit?: string;
  readonly decimals?: number;
  readonly thresholds?: { readonly steps: readonly Threshold[] };
  /** A fixed colour, in an override. */
  readonly color?: { readonly mode: string; readonly fixedColor?: string };
  readonly custom?: { readonly fillOpacity: number; readonly stacking: { readonly mode: string } };
}

/** A panel or a row of panels, as far as the picture needs it. */
export interface Panel {
  readonly type: 'row' | 'stat' | 'bargauge' | 'timeseries';
  readonly title: string;
  /** In 24 columns, and rows of 30 pixels. */
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly targets?: readonly { readonly expr: string; readonly legendFormat: string }[];
  readonly fieldConfig?: {
    readonly defaults: FieldOptions;
    readonly overrides: readonly {
      readonly matcher: { readonly id: string; readonly options: string };
      readonly properties: readonly { readonly id: string; readonly value: unknown }[];
    }[];
  };
  readonly options?: { readonly textMode?: string; readonly legend?: { readonly placement: string } };
}

export interface Dashboard {
  readonly title: string;
  readonly schemaVersion: number;
  readonly templating: { readonly list: readonly { readonly name: string; readonly label: string; readonly type: string }[] };
  readonly panels: readonly Panel[];
}

/** The dashboard of the monitoring component. */
export function readDashboard(): Dashboard {
  return JSON.parse(readFileSync(new URL('../../../manifests/components/monitoring/dashboard.json', import.meta.url), 'utf8'));
}

/**
 * An expression with the variables as Grafana fills them in, everything being selected.
 *
 * @param range seconds that are shown
 * @param rateInterval seconds over which rates are taken
 */
export function interpolate(expression: string, range: number, rateInterval: number): string {
  const values: Record<string, string> = { namespace: '.*', pod: '.*', __range: `${range}s`, __rate_interval: `${rateInterval}s` };
  return expression.replaceAll(/\$(\w+)/g, (whole, name: string) => values[name] ?? whole);
}

/** The options of one series: those of the panel, with the overrides for its name. */
export function optionsOf({ fieldConfig }: Panel, name: string): FieldOptions {
  const properties = fieldConfig?.overrides.filter(({ matcher }) => matcher.options === name).flatMap((override) => override.properties);
  return { ...fieldConfig?.defaults, ...Object.fromEntries((properties ?? []).map(({ id, value }) => [id, value])) };
}
