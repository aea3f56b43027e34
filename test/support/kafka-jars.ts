/**
 * The jars of the real Apache Kafka, fetched once by Maven into `.cache/kafka-<version>/` and reused.
 * Two processes may ask at the same time: each fills a directory of its own and the first rename wins.
 */
import { execFile, spawn } from 'node:child_process';
import { access, mkdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { PACKAGE_ROOT } from '../../src/package-info.ts';

const run = promisify(execFile);

const POM = join(PACKAGE_ROOT, 'test/support/kafka/pom.xml');
const NEEDS =
  'The Kafka tests need Java 17 or newer and Maven (Debian: apt-get install openjdk-17-jre-headless maven)';

/** Class path (`<directory>/*`) of the broker and its tools. Downloads about 45 MB the first time. */
export async function kafkaClassPath(): Promise<string> {
  await requireJava();
  const directory = join(PACKAGE_ROOT, '.cache', `kafka-${await kafkaVersion()}`);
  if (!(await exists(directory))) await download(directory);
  return join(directory, '*');
}

/** The version the tests run against, as the pom names it. */
async function kafkaVersion(): Promise<string> {
  const version = /<kafka\.version>([^<]+)</.exec(await readFile(POM, 'utf8'))?.[1];
  if (version === undefined) throw new Error(`No <kafka.version> in ${POM}`);
  return version;
}

export function javaCommand(): string {
  const home = process.env['JAVA_HOME'];
  return home === undefined || home === '' ? 'java' : join(home, 'bin', 'java');
}

/** Runs one of Kafka's console tools to its end and answers what it printed; throws when it fails. */
export async function runKafkaTool(
  mainClass: string,
  args: readonly string[],
  input: string | Uint8Array = '',
): Promise<string> {
  const classPath = await kafkaClassPath();
  const flags = ['-Xmx512m', '-XX:+UseSerialGC', '-Dorg.slf4j.simpleLogger.defaultLogLevel=error'];
  const child = spawn(javaCommand(), [...flags, '-cp', classPath, mainClass, ...args]);
  let printed = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    printed += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    printed += text;
  });
  child.stdin.end(input);
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  if (code !== 0) throw new Error(`${mainClass} ended with ${code}: ${printed.slice(-2000)}`);
  return printed;
}

async function requireJava(): Promise<void> {
  const found = await run(javaCommand(), ['-version']).catch(() => undefined);
  const major = Number(/version "(\d+)/.exec(found?.stderr ?? '')?.[1] ?? 0);
  if (major < 17) {
    throw new Error(`${NEEDS}: ${major === 0 ? 'no java was found' : `java is version ${major}`}.`);
  }
}

async function download(directory: string): Promise<void> {
  await run('mvn', ['-version']).catch(() => {
    throw new Error(`${NEEDS}: no mvn was found.`);
  });
  const partial = `${directory}.${process.pid}.partial`;
  await mkdir(partial, { recursive: true });
  const goal = ['dependency:copy-dependencies', '-DincludeScope=runtime', `-DoutputDirectory=${partial}`];
  try {
    await run('mvn', ['-q', '-B', '-f', POM, ...goal], { timeout: 600_000, maxBuffer: 16 << 20 });
    await rename(partial, directory).catch(async (error: unknown) => {
      if (!(await exists(directory))) throw error;
    });
  } catch (error) {
    throw new Error(`Maven could not fetch Apache Kafka: ${String(error)}`, { cause: error });
  } finally {
    await rm(partial, { recursive: true, force: true });
  }
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
