/**
 * The `traceparent` of a request (W3C Trace Context, 3.2): its trace stands in the log and in problems.
 */

const TRACE_PARENT = /^(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.*)?$/;
const FIRST_VERSION = '00';

/** The id of the trace, 32 hexadecimal digits; undefined when the header is absent or is not one. */
export function readTraceId(headers: ReadonlyMap<string, string>): string | undefined {
  const [, version, traceId, rest] = TRACE_PARENT.exec(headers.get('traceparent') ?? '') ?? [];
  // Later versions may add to it, this one has nothing more.
  return version === FIRST_VERSION && rest !== undefined ? undefined : traceId;
}
