/** The trace that a request belongs to, as its sender says it: W3C Trace Context, https://www.w3.org/TR/trace-context/#traceparent-header. */

export interface TraceContext {
  /** 32 hexadecimal digits, not all of them zero. */
  readonly traceId: string;
  /** The span of the sender: 16 hexadecimal digits, not all of them zero. */
  readonly spanId: string;
  /** A bit field; 1 is "sampled". */
  readonly flags: number;
}

/** Later versions may add members. Version ff is not allowed. */
const TRACEPARENT = /^(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-|$)/;
const LENGTH_OF_VERSION_0 = 55;

/** Reads a header `traceparent`. Undefined where there is none, or another text: nothing of it is kept then. */
export function readTraceparent(header: string | readonly string[] | undefined): TraceContext | undefined {
  if (typeof header !== 'string') return undefined;
  const [, version, traceId, spanId, flags] = TRACEPARENT.exec(header) ?? [];
  if (traceId === undefined || spanId === undefined || flags === undefined) return undefined;
  if (version === '00' && header.length !== LENGTH_OF_VERSION_0) return undefined;
  return { traceId, spanId, flags: Number.parseInt(flags, 16) };
}
