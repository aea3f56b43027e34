/** Leaves a Kafka group in the name of members that were killed on this host (see member-notes.ts). */
import { setTimeout as delay } from 'node:timers/promises';
import { errorMessage, MillraceError } from '../errors.ts';
import type { Telemetry } from '../telemetry.ts';
import { createKafkaClient, type KafkaClient, type KafkaConnection } from './kafka-client.ts';
import { loadKafkajs } from './load-kafkajs.ts';
import type { DeadMember, MemberNotes, Membership } from './member-notes.ts';

export interface GroupConnection extends KafkaConnection {
  readonly groupId: string;
}

/** kafkajs's cluster, as far as it is used here. */
interface Cluster {
  findGroupCoordinator(group: { readonly groupId: string }): Promise<{
    leaveGroup(member: Membership): Promise<unknown>;
  }>;
}

/**
 * The join of this program should be first: brokers let the first join of an empty group wait for others (by
 * default 3 s), whereas one that waits for the dead member only is answered at once when that leaves.
 */
const JOIN_HEAD_START_MS = 250;
const DEADLINE_MS = 10_000;
/** The broker has forgotten the member, or the group. */
const GONE: ReadonlySet<unknown> = new Set(['UNKNOWN_MEMBER_ID', 'GROUP_ID_NOT_FOUND']);

/**
 * To be called beside a join. It has connections of its own, since a broker takes nothing on a connection whose
 * join it has not answered. Ends early on `signal`. Never rejects: the session runs out by itself.
 */
export async function leaveDeadMembers(
  options: GroupConnection,
  { notes, signal }: { readonly notes: MemberNotes; readonly signal: AbortSignal },
  telemetry: Telemetry,
): Promise<void> {
  const dead = await notes.findDead(options.groupId);
  if (dead.length === 0) return;
  const client = createKafkaClient(options, telemetry);
  const isOver = new AbortController();
  const waiting = { signal: AbortSignal.any([signal, isOver.signal]) };
  try {
    await delay(JOIN_HEAD_START_MS, undefined, waiting);
    const tooLate = delay(DEADLINE_MS, undefined, waiting).then((): never => {
      throw new MillraceError('bus_unavailable', `The group coordinator is silent for ${DEADLINE_MS} ms.`);
    });
    const leftCount = await Promise.race([leaveAll(client, { dead, notes }), tooLate]);
    if (leftCount > 0) telemetry.emit('dead_members_left', { groupId: options.groupId }, leftCount);
  } catch (error) {
    if (!signal.aborted) telemetry.emit('member_note_failed', { error: errorMessage(error) });
  } finally {
    isOver.abort();
    client.sockets.close();
  }
}

/** How many of them were still members. */
async function leaveAll(
  { kafka }: KafkaClient,
  { dead, notes }: { readonly dead: readonly DeadMember[]; readonly notes: MemberNotes },
): Promise<number> {
  let cluster: Cluster | undefined;
  // It never joins: the assigner is the only way to kafkajs's cluster.
  const consumer = kafka.consumer({
    groupId: dead[0]?.groupId ?? '',
    partitionAssigners: [
      (config) => {
        cluster = config.cluster as unknown as Cluster;
        return loadKafkajs().PartitionAssigners.roundRobin(config);
      },
    ],
  });
  await consumer.connect();
  try {
    let leftCount = 0;
    for (const { groupId, memberId, file } of dead) {
      if (await leave(cluster, { groupId, memberId })) leftCount++;
      await notes.forget(file);
    }
    return leftCount;
  } finally {
    await consumer.disconnect();
  }
}

/** False when the broker has forgotten the member. */
async function leave(cluster: Cluster | undefined, member: Membership): Promise<boolean> {
  const coordinator = await cluster?.findGroupCoordinator({ groupId: member.groupId });
  try {
    await coordinator?.leaveGroup(member);
    return true;
  } catch (error) {
    if (GONE.has((error as { readonly type?: unknown }).type)) return false;
    throw error;
  }
}
