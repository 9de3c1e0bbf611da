import { Counter, Gauge, Histogram, Registry } from 'prom-client'

export { Counter, Gauge, Histogram, Registry }

/** One metric, said but not yet registered. */
export interface Declaration<Metric> {
  readonly name: string
  register(registry: Registry): Metric
}

/** What {@link defineMetrics} makes of its declarations: the metrics under the same names. */
export type Metrics<Declarations extends Record<string, Declaration<unknown>>> = {
  readonly [Name in keyof Declarations]: ReturnType<Declarations[Name]['register']>
}

/**
 * Declares all metrics of a service in one place and registers them, with `spectrum_` before each name.
 *
 * @example
 * const metrics = defineMetrics(registry, {
 *   stanzasRefused: counter('stanzas_refused_total', 'Stanzas that were answered with an error.', ['reason']),
 * })
 * metrics.stanzasRefused.inc({ reason: 'too-big' })
 */
export function defineMetrics<Declarations extends Record<string, Declaration<unknown>>>(
  registry: Registry,
  declarations: Declarations,
): Metrics<Declarations> {
  const metrics = Object.entries(declarations).map(([name, declaration]) => [name, declaration.register(registry)])
  return Object.fromEntries(metrics)
}

/** Something that only goes up; its name ends in `_total`. */
export function counter<const Label extends string = never>(
  name: `${string}_total`,
  help: string,
  labelNames: readonly Label[] = [],
): Declaration<Counter<Label>> {
  return { name, register: registry => new Counter({ ...named(name, help), labelNames, registers: [registry] }) }
}

/**
 * Something that goes up and down. `read`, if given, is asked for the value at each scrape; undefined: the series is absent
 * (only without labels).
 */
export function gauge<const Label extends string = never>(
  name: string,
  help: string,
  labelNames: readonly Label[] = [],
  read?: () => number | undefined,
): Declaration<Gauge<Label>> {
  return {
    name,
    register: registry => {
      const show = (value: number | undefined) => (value === undefined ? created.remove() : created.set(value))
      const collect = read && { collect: () => show(read()) }
      const created: Gauge<Label> = new Gauge({ ...named(name, help), labelNames, registers: [registry], ...collect })
      return created
    },
  }
}

/** A distribution; its name says the unit: `…_seconds`, `…_bytes`. Default buckets: 0.5 ms to 30 s. */
export function histogram<const Label extends string = never>(
  name: string,
  help: string,
  labelNames: readonly Label[] = [],
  buckets: readonly number[] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
): Declaration<Histogram<Label>> {
  return {
    name,
    register: registry =>
      new Histogram({ ...named(name, help), labelNames, buckets: [...buckets], registers: [registry] }),
  }
}

function named(name: string, help: string): { name: string; help: string } {
  if (!/^[a-z][a-z0-9_]*$/.test(name) || name.startsWith('spectrum_')) throw new TypeError(`${name} is no metric name`)
  if (help === '') throw new TypeError(`${name} has no help`)
  return { name: `spectrum_${name}`, help }
}

/** One metric as a page of documentation says it. */
export interface MetricDescription {
  readonly name: string
  readonly type: string
  readonly help: string
  readonly labels: readonly string[]
}

/** All metrics of a registry, in the order of their declaration. */
export function describeMetrics(registry: Registry): MetricDescription[] {
  return registry.getMetricsAsArray().map(metric => {
    const { name, help, labelNames = [] } = metric as unknown as { name: string; help: string; labelNames?: string[] }
    const type = metric instanceof Counter ? 'counter' : metric instanceof Gauge ? 'gauge' : 'histogram'
    return { name, type, help, labels: labelNames }
  })
}
