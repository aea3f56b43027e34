/**
 * Notices that a topic was deleted, made again, or is there at last: by asking for the ids every few seconds, and at
 * once when something speaks against them. Whoever reads must then begin anew.
 */
import { type KafkaCluster, type PinnedTopics, readTopicIds } from './kafkajs-topic-ids.ts';
import type { TopicIds } from './topic-metadata.ts';

export interface WatchedTopics {
  /** All that are wanted, whether they exist or not. */
  readonly topics: readonly string[];
  /** As they are being read. */
  readonly ids: TopicIds;
  /**
   * True while a join waits for the rest of the group, for as long as the session of a dead member may last. A broker
   * answers nothing else on that connection: a question would run out of time, and take the join with it.
   */
  readonly isJoining: () => boolean;
  /** Called once. */
  readonly onChanged: (reason: string) => void;
}

const WATCH_INTERVAL_MS = 3000;

/** Modes: `watching` (one question at a time), `changed` and `stopped`: nothing is asked any more. */
export class TopicWatch implements PinnedTopics {
  readonly ids: TopicIds;
  readonly #cluster: KafkaCluster;
  readonly #watched: WatchedTopics;
  #mode: 'watching' | 'changed' | 'stopped' = 'watching';
  readonly #timer: NodeJS.Timeout;
  #question: Promise<void> | undefined;

  constructor(cluster: KafkaCluster, watched: WatchedTopics) {
    this.#cluster = cluster;
    this.#watched = watched;
    this.ids = watched.ids;
    this.#timer = setInterval(() => {
      if (!watched.isJoining()) this.check();
    }, WATCH_INTERVAL_MS);
  }

  /** Asks without waiting. That Kafka does not answer is noticed by others. */
  check(): void {
    this.areCurrent().catch(() => undefined);
  }

  /** Asks; a question that is under way may have been answered too early, so that it is followed by another. */
  readonly areCurrent = async (): Promise<boolean> => {
    await this.#question?.catch(() => undefined);
    if (this.#mode === 'watching') {
      this.#question ??= this.#ask().finally(() => {
        this.#question = undefined;
      });
      await this.#question;
    }
    return this.#mode !== 'changed';
  };

  stop(): void {
    clearInterval(this.#timer);
    if (this.#mode === 'watching') this.#mode = 'stopped';
  }

  async #ask(): Promise<void> {
    const now = await readTopicIds(this.#cluster, this.#watched.topics);
    if (this.#mode !== 'watching') return;
    const reason = this.#watched.topics.map((topic) => this.#changeOf(topic, now)).find(Boolean);
    if (reason === undefined) return;
    this.stop();
    this.#mode = 'changed';
    this.#watched.onChanged(reason);
  }

  #changeOf(topic: string, now: TopicIds): string | undefined {
    const before = this.ids.get(topic);
    const after = now.get(topic);
    if (before === after) return undefined;
    const name = `Topic ${JSON.stringify(topic)}`;
    if (after === undefined) return `${name} was deleted.`;
    return before === undefined ? `${name} is there now.` : `${name} was deleted and made again.`;
  }
}
