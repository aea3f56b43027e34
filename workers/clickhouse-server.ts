/**
 * Process that is the embedded ClickHouse. It asks the system to be killed with its parent, then calls the
 * library's own entry point, which serves HTTP and never comes back; nothing else can run in this process.
 * Arguments: pid of the parent, path of the library, then the arguments of `clickhouse local`.
 */
import { DataType, load, open } from 'ffi-rs';

const PR_SET_PDEATHSIG = 1;
const SIGKILL = 9;
const EXIT_FAILED = 1;

function dieWithParent(parentPid: number): void {
  // Other systems have no such call: there the supervisor's stop() and the data directory's lock must do.
  if (process.platform === 'linux') {
    open({ library: 'libc', path: '' });
    load({
      library: 'libc',
      funcName: 'prctl',
      retType: DataType.I32,
      paramsType: [DataType.I32, DataType.U64],
      paramsValue: [PR_SET_PDEATHSIG, SIGKILL],
    });
  }
  // The parent may have died before the request was in place; then nobody will ever send the signal.
  if (process.ppid !== parentPid) process.exit(EXIT_FAILED);
}

const [parentPid, libraryPath, ...serverArguments] = process.argv.slice(2);
if (parentPid === undefined || libraryPath === undefined) process.exit(EXIT_FAILED);
dieWithParent(Number(parentPid));
open({ library: 'clickhouse', path: libraryPath });
const argv = ['clickhouse', ...serverArguments];
load({
  library: 'clickhouse',
  funcName: 'query_stable_v2',
  retType: DataType.External,
  paramsType: [DataType.I32, DataType.StringArray],
  paramsValue: [argv.length, argv],
});
// Only a server that could not start returns; what went wrong is on standard error.
process.exit(EXIT_FAILED);
