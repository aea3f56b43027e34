/**
 * A line of the ledger as the API shows it.
 */
import { type Static, Type } from 'typebox';
import { jsonAnswer, type Operation } from '../openapi/operation.ts';
import { Count } from '../openapi/schemas.ts';

const ByReason = Type.Record(Type.String(), Type.Integer());

/** Counts are records, bounds are offsets (`to_offset` exclusive). */
const Line = Type.Object(
  {
    source: Type.String(),
    partition: Count(),
    from_offset: Type.Integer(),
    to_offset: Type.Integer({ description: 'Exclusive' }),
    balanced: Type.Boolean({
      description:
        '`received = stored + already_present + filtered + dead_lettered` in every row of the table, and no hole',
    }),
    received: Count(),
    stored: Count(),
    already_present: Count(),
    filtered: ByReason,
    dead_lettered: ByReason,
    lost_upstream: Count(
      'Offsets that Kafka had deleted before they were read; none of the received records',
    ),
    hole_count: Count('Stretches of offsets that were passed over without a row'),
    holes: Type.Array(Type.Object({ from_offset: Type.Integer(), to_offset: Type.Integer() }), {
      description: 'The first 100 of them',
    }),
    in_flight: Type.Integer({
      description:
        'Offsets, not records, taken from the source that have no row yet: being parsed or written',
    }),
  },
  { $id: 'LedgerLine' },
);
export type LedgerLine = Static<typeof Line>;

const Ledger = Type.Object({ balanced: Type.Boolean(), data: Type.Array(Line) }, { $id: 'Ledger' });

const EXAMPLE: LedgerLine = {
  source: 'logs',
  partition: 0,
  from_offset: 0,
  to_offset: 104,
  balanced: true,
  received: 104,
  stored: 101,
  already_present: 0,
  filtered: { blank: 2 },
  dead_lettered: { malformed_json: 1 },
  lost_upstream: 0,
  hole_count: 0,
  holes: [],
  in_flight: 3,
};

export const GET_LEDGER: Operation = {
  id: 'getLedger',
  summary: 'What became of every record, per source and partition',
  tag: 'pipeline',
  answers: { 200: jsonAnswer('All of it', Ledger, { balanced: true, data: [EXAMPLE] }) },
  problems: ['thread_died'],
};
