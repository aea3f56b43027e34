/** Steps that the scenarios around Kafka share. */
import type { Chaos, ProgramSpec } from '../chaos.ts';
import { type Link, startLink } from '../faults/link.ts';
import type { Member, Resources } from '../member.ts';

const WARM_UP_EVENTS = 30_000;

/** Some load, so that heap, arena and workers have their usual size; then what the idle program takes. */
export async function warmUp(chaos: Chaos, member: Member, count = WARM_UP_EVENTS): Promise<Resources> {
  const load = await chaos.startLoad({ rate: 0, count });
  await load.finished();
  await chaos.settle();
  return await member.resources();
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
