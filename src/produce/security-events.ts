/**
 * Logins and network decisions: as JSON that a collector would send, and as syslog lines of sshd, sudo and pam.
 */
import { ATTACK_SHARE, type Attack } from './attack.ts';
import type { Draft } from './draft.ts';
import type { Random } from './random.ts';
import { type Host, pickOutsideAddress, pickUser, type World } from './world.ts';

const SHARE_OF_LINES = 0.5;
const GUESSED_USERS = [
  'root',
  'admin',
  'test',
  'oracle',
  'ubuntu',
  'postgres',
  'pi',
  'git',
  'ftpuser',
  'guest',
];
const BLOCKED_PORTS = [22, 23, 445, 1433, 3306, 3389, 5900, 6379];
const SECOND_US = 1_000_000;

interface Login {
  readonly host: Host;
  readonly user: string;
  readonly sourceIp: string;
  readonly isSuccess: boolean;
  readonly isKnownUser: boolean;
}

export function buildSecurityEvent(draft: Draft, world: World): void {
  const { random } = world;
  const login = pickAttackLogin(world) ?? pickUsualLogin(world);
  if (random.isTrue(SHARE_OF_LINES)) buildLine(draft, login, world);
  else if (random.isTrue(0.25)) buildNetworkJson(draft, login, world);
  else buildLoginJson(draft, login, world);
}

function pickAttackLogin(world: World): Login | undefined {
  const { random, attack } = world;
  const isLoginAttack = attack?.scenario === 'ssh-brute-force' || attack?.scenario === 'spray';
  if (attack === undefined || !isLoginAttack || !random.isTrue(ATTACK_SHARE)) return undefined;
  const host = attackedHost(attack, world);
  return {
    host,
    user: attack.scenario === 'spray' ? pickUser(random) : random.pick(GUESSED_USERS),
    sourceIp: attack.sourceIp,
    isSuccess: false,
    isKnownUser: attack.scenario === 'spray',
  };
}

function attackedHost(attack: Attack, world: World): Host {
  const target = attack.scenario === 'spray' ? undefined : world.hosts[attack.hostIndex];
  return target ?? world.random.pick(world.hosts);
}

function pickUsualLogin(world: World): Login {
  const { random } = world;
  const isSuccess = random.isTrue(0.7);
  const isKnownUser = isSuccess || random.isTrue(0.4);
  return {
    host: random.pick(world.hosts),
    user: isKnownUser ? pickUser(random) : random.pick(GUESSED_USERS),
    sourceIp: isSuccess ? `10.200.${random.below(4)}.${random.between(1, 254)}` : pickOutsideAddress(random),
    isSuccess,
    isKnownUser,
  };
}

/** sshd's own sentence about a login, as OpenSSH writes it. */
function loginMessage(login: Login, random: Random): string {
  const from = `${login.user} from ${login.sourceIp} port ${random.between(30_000, 65_000)} ssh2`;
  if (login.isSuccess) return `Accepted ${random.isTrue(0.6) ? 'publickey' : 'password'} for ${from}`;
  return `Failed password for ${login.isKnownUser ? '' : 'invalid user '}${from}`;
}

function nextPid(host: Host): number {
  host.nextPid = host.nextPid > 60_000 ? 1000 : host.nextPid + 1;
  return host.nextPid;
}

/**
 * RFC 3164 with priority 38 (auth, informational): time in whole seconds. The number stands where sshd puts the
 * details of a key, so that parsers of sshd lines still know where the peer ends.
 */
function buildLine(draft: Draft, login: Login, world: World): void {
  draft.timestampUs = Math.floor(draft.timestampUs / SECOND_US) * SECOND_US;
  draft.isText = true;
  draft.host = login.host.name;
  draft.service = 'sshd';
  draft.process = 'sshd';
  draft.level = 'INFO';
  draft.user = login.user;
  draft.sourceIp = login.sourceIp;
  draft.outcome = login.isSuccess ? 'success' : 'failure';
  draft.message = `${loginMessage(login, world.random)}: seq=${draft.seq}`;
  const time = world.time.syslog(draft.timestampUs);
  draft.value = `<38>${time} ${login.host.name} sshd[${nextPid(login.host)}]: ${draft.message}`;
}

function buildLoginJson(draft: Draft, login: Login, world: World): void {
  draft.host = login.host.name;
  draft.service = 'sshd';
  draft.process = 'sshd';
  draft.level = login.isSuccess ? 'INFO' : 'WARN';
  draft.user = login.user;
  draft.sourceIp = login.sourceIp;
  draft.outcome = login.isSuccess ? 'success' : 'failure';
  draft.message = loginMessage(login, world.random);
  draft.value =
    `{"timestamp":"${world.time.iso(draft.timestampUs)}","level":"${draft.level}","host":"${draft.host}",` +
    `"service":"sshd","process":"sshd","pid":${nextPid(login.host)},"user":"${draft.user}",` +
    `"source_ip":"${draft.sourceIp}","outcome":"${draft.outcome}","message":"${draft.message}",` +
    `"metadata":{"seq":${draft.seq},"environment":"${login.host.environment}"}}`;
}

function buildNetworkJson(draft: Draft, login: Login, world: World): void {
  const { random } = world;
  const port = random.pick(BLOCKED_PORTS);
  draft.host = login.host.name;
  draft.service = 'firewall';
  draft.level = 'WARN';
  draft.sourceIp = login.isSuccess ? pickOutsideAddress(random) : login.sourceIp;
  draft.outcome = 'failure';
  draft.message = `blocked TCP ${draft.sourceIp} to ${login.host.address}:${port}, no rule allows it`;
  draft.value =
    `{"timestamp":"${world.time.iso(draft.timestampUs)}","level":"WARN","host":"${draft.host}",` +
    `"service":"firewall","source_ip":"${draft.sourceIp}","source_port":${random.between(1024, 65_000)},` +
    `"destination_ip":"${login.host.address}","destination_port":${port},"outcome":"failure",` +
    `"message":"${draft.message}","metadata":{"seq":${draft.seq}}}`;
}
