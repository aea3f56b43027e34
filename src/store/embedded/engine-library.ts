/**
 * Finds the ClickHouse library that the package `chdb` brings for this platform, without loading it.
 * Where there is none, the error names the alternative: a ClickHouse server of one's own.
 */
import { tryResolveLibchdb } from 'chdb/libchdb';
import { MillraceError } from '../../errors.ts';

/** What decides whether the library can be loaded here. */
export interface Platform {
  readonly os: string;
  readonly arch: string;
  readonly hasGlibc: boolean;
}

function currentPlatform(): Platform {
  const { platform: os, arch } = process;
  return { os, arch, hasGlibc: os !== 'linux' || isGlibc() };
}

function isGlibc(): boolean {
  const report = process.report.getReport() as { header?: { glibcVersionRuntime?: string } };
  return report.header?.glibcVersionRuntime !== undefined;
}

function unsupported(why: string): MillraceError {
  return new MillraceError(
    'platform_unsupported',
    `The embedded ClickHouse cannot run here (${why}); set CLICKHOUSE_URL to the HTTP address of a ClickHouse server.`,
  );
}

/** Path of the library; throws `platform_unsupported`. */
export function findEngineLibrary(platform: Platform = currentPlatform()): string {
  const { os, arch, hasGlibc } = platform;
  if (os !== 'linux' && os !== 'darwin') throw unsupported(`${os} has no build of the library`);
  if (!hasGlibc) throw unsupported('this system uses musl, the library needs glibc');
  if (arch !== 'x64' && arch !== 'arm64') throw unsupported(`there is no build for ${os} on ${arch}`);
  const location = tryResolveLibchdb();
  if (location === undefined) throw unsupported('the optional package of the library is not installed');
  return location.path;
}
