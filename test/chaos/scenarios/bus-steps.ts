/** Steps that the scenarios around Kafka share. */
import type { Chaos, ProgramSpec } from '../chaos.ts';
import { type Link, startLink } from '../faults/link.ts';
import type { Member, Resources } from '../member.ts';

const WARM_UP_EVENTS = 30_000;
/** A session of the group lasts 45 s: a member that cannot say good-bye is waited for that long. */
const BACK_MS = 75_000;

/** Some load, so that heap, arena and workers have their usual size; then what the idle program takes. */
export async function warmUp(chaos: Chaos, member: Member, count = WARM_UP_EVENTS): Promise<Resources> {
  const load = await chaos.startLoad({ rate: 0, count });
  await load.finished();
  await chaos.settle();
  return await member.resources();
}

/** The fault is over: `/readyz` must say so, and how soon is a figure of the report. */
export async function expectReadyAgain(chaos: Chaos, member: Member, timeoutMs = BACK_MS): Promise<void> {
  const overAt = Date.now();
  const isBack = await chaos.eventually(
    () => member.state === 'ready',
    `${member.name} is ready again`,
    timeoutMs,
  );
  if (isBack) chaos.figure('ready_again_ms', Date.now() - overAt);
}

/** A broker of its own behind a link, and a program that reaches it only through the link. */
export async function startBehindLink(
  chaos: Chaos,
  spec: ProgramSpec = {},
): Promise<{ readonly link: Link; readonly member: Member }> {
  const link = await startLink(chaos.seed);
  chaos.atEnd(() => link.stop());
  const broker = await chaos.ownBroker({ linkPort: link.port });
  link.connectTo(broker.linkTargetPort);
  const settings = { ...spec.settings, KAFKA_BROKERS: link.address };
  const member = await chaos.startProgram({ ...spec, settings });
  return { link, member };
}
