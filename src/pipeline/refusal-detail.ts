/**
 * Why a record was refused, in words that can stand in clear text beside its sealed bytes: errors of ClickHouse and
 * of a worker's runtime may quote the record.
 */
import type { ParseTask } from './parse-protocol.ts';

const CLICKHOUSE_ANSWER = /^ClickHouse answered \w* \(code \d+\)/;

export function refusalDetail({ reason, detail }: NonNullable<ParseTask['refusal']>): string {
  if (reason === 'poison_record') return 'a parse worker ended each time it had this record in hand';
  return CLICKHOUSE_ANSWER.exec(detail)?.[0] ?? 'ClickHouse refused the row';
}
