/**
 * Produced events into the HTTP API: JSON as NDJSON, syslog lines as text, each batch answered after storage.
 */
import { MillraceError } from '../errors.ts';
import type { ProducedEvent } from '../produce/generator.ts';
import { type ApiClient, answerError, readField } from './api-client.ts';
import type { EventSink } from './event-sink.ts';

export function createHttpSink(client: ApiClient): EventSink {
  return {
    async send(_topic, events) {
      const json = events.filter((event) => !event.isText);
      const text = events.filter((event) => event.isText);
      await Promise.all([
        post(client, json, 'application/x-ndjson'),
        post(client, text, 'text/plain; charset=utf-8'),
      ]);
    },
    close: async () => {},
  };
}

async function post(client: ApiClient, events: readonly ProducedEvent[], contentType: string): Promise<void> {
  if (events.length === 0) return;
  const answer = await client.post(
    '/logs',
    `${events.map((event) => event.value).join('\n')}\n`,
    contentType,
  );
  if (answer.status !== 200 && answer.status !== 202) throw answerError('produce over HTTP', answer);
  const accepted = readField(answer.body, 'accepted');
  if (accepted !== events.length) {
    throw new MillraceError(
      'unprocessable',
      `Cannot produce over HTTP: ${String(accepted)} of ${events.length} events were accepted.`,
    );
  }
}
