/**
 * `GET /dead-letters` and `GET /dead-letters/:id`. What a letter holds is shown masked; its bytes are for who can
 * read the key file (`millrace dlq show --raw`).
 */
import type { LetterSeal } from '../../encode/letter-seal.ts';
import { errorMessage, MillraceError } from '../../errors.ts';
import { decodeEventId } from '../../event/event-id.ts';
import type { QueryPort } from '../../pipeline/query-port.ts';
import type { HttpResponse } from '../http/port.ts';
import { decodeCursor, encodeCursor } from '../logs/cursor.ts';
import { bindingOf, readRange } from '../logs/logs-query.ts';
import type { Statement } from '../logs/logs-sql.ts';
import { SourceNames } from '../logs/sources.ts';
import { jsonResponse } from '../problem.ts';
import { selectLimited } from '../query-limits.ts';
import { readQuery } from '../read-query.ts';
import type { RequestContext, Route } from '../route.ts';
import { openLetter, positionOfLetter, toLetter } from './letter-shape.ts';
import {
  type LetterPayload,
  type LetterPosition,
  type LetterRow,
  letterKey,
  letterPage,
  payloads,
} from './letter-sql.ts';
import { GET_LETTER, LettersQuery, LIST_LETTERS } from './letters-operations.ts';
import { redactedPreview } from './preview.ts';

export interface LettersPorts {
  readonly store: QueryPort;
  readonly cursorSecret: Buffer;
  readonly letterSeal: LetterSeal;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** A larger letter has no preview: it would have to be opened whole. */
const MAX_PREVIEW_BYTES = 4 * 1_048_576;

/** For who handles alerts: names of fields may be telling. */
export function lettersRoutes(ports: LettersPorts): Route[] {
  const sources = new SourceNames(ports.store, ports.now);
  return [
    {
      method: 'GET',
      path: '/dead-letters',
      access: 'handle',
      operation: LIST_LETTERS,
      handle: (context) => listLetters(context, ports, sources),
    },
    {
      method: 'GET',
      path: '/dead-letters/:id',
      access: 'handle',
      operation: GET_LETTER,
      handle: (context) => getLetter(context, ports, sources),
    },
  ];
}

async function listLetters(
  { request, query, principal }: RequestContext,
  ports: LettersPorts,
  sources: SourceNames,
): Promise<HttpResponse> {
  const { store, cursorSecret, now } = ports;
  const { limit, reason: reasons, source, cursor: text } = readQuery(query, LettersQuery);
  const binding = `dead-letters ${bindingOf(query, principal.scope)}`;
  const cursor = text === undefined ? undefined : decodeCursor(text, binding, cursorSecret);
  const { fromUs, toUs } = cursor ?? readRange(query, now());
  const filter = { reasons, sources: source, fromUs, toUs };
  const statement = letterPage(filter, limit, cursor === undefined ? undefined : toPosition(cursor.position));
  const { rows, rowsRead, elapsedMs } = await selectLimited<LetterRow>(store, statement, request.signal);
  const page = rows.slice(0, limit);
  const names = await sources.resolve(new Set(page.map((row) => row.source)));
  const last = rows.length > limit ? page.at(-1) : undefined;
  const next =
    last === undefined
      ? null
      : encodeCursor({ direction: 'next', position: fromLetter(last), fromUs, toUs }, binding, cursorSecret);
  return jsonResponse({
    data: page.map((row) => toLetter(row, names.get(row.source))),
    page: { next, prev: null, limit, total: null },
    meta: { rows_read: rowsRead, elapsed_ms: elapsedMs },
  });
}

function toPosition({ timestampUs: storedUs, ...lane }: ReturnType<typeof fromLetter>): LetterPosition {
  return { storedUs, ...lane };
}

function fromLetter(row: LetterRow) {
  const { storedUs: timestampUs, ...lane } = positionOfLetter(row);
  return { timestampUs, ...lane };
}

async function getLetter(
  { request, params }: RequestContext,
  { store, letterSeal }: LettersPorts,
  sources: SourceNames,
): Promise<HttpResponse> {
  const address = decodeEventId(params['id'] ?? '');
  const select = async <Row>(statement: Statement): Promise<Row[]> =>
    (await selectLimited<Row>(store, statement, request.signal)).rows;
  const [row] = address === undefined ? [] : await select<LetterRow>(letterPage({ addresses: [address] }, 1));
  if (row === undefined) throw new MillraceError('not_found', 'There is no dead letter with this id.');
  const found = await select<LetterPayload>(payloads([row], MAX_PREVIEW_BYTES));
  const payload = found.find((candidate) => letterKey(candidate) === letterKey(row));
  const names = await sources.resolve([row.source]);
  return jsonResponse({
    ...toLetter(row, names.get(row.source)),
    ...previewOf(row, Buffer.from(payload?.sealed ?? '', 'base64'), letterSeal),
  });
}

/** A preview, or why there is none: the rest of the letter is worth showing without it. */
function previewOf(row: LetterRow, payload: Uint8Array, seal: LetterSeal) {
  const none = (problem: string) => ({ preview: null, preview_problem: problem });
  if (payload.length === 0 && row.bytes > 0) return none('The letter is too large for a preview.');
  try {
    const preview = redactedPreview(openLetter(row, payload, seal));
    return preview === undefined ? none('The bytes are not text.') : { preview };
  } catch (error) {
    if (error instanceof MillraceError && error.code === 'unprocessable') return none(errorMessage(error));
    throw error;
  }
}
