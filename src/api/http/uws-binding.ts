/**
 * Loads uWebSockets.js, the only file that does. It is an optional dependency with native code: it may be missing,
 * not fit the system's C library, or not be the file that was published; each is an error here, not a crash later.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { errorMessage, MillraceError } from '../../errors.ts';

/** The part of the library's API that is used. */
export interface UwsResponse {
  writeStatus(status: string): void;
  writeHeader(name: string, value: string): void;
  write(chunk: string | Uint8Array): boolean;
  end(body: string | Uint8Array, closeConnection: boolean): void;
  endWithoutBody(): void;
  close(): void;
  cork(callback: () => void): void;
  pause(): void;
  resume(): void;
  onWritable(handler: () => boolean): void;
  onAborted(handler: () => void): void;
  onData(handler: (chunk: ArrayBuffer, isLast: boolean) => void): void;
  getRemoteAddressAsText(): ArrayBuffer;
}

export interface UwsRequest {
  getUrl(): string;
  getQuery(): string | undefined;
  getCaseSensitiveMethod(): string;
  forEach(callback: (name: string, value: string) => void): void;
}

export type UwsListenSocket = object;

export interface UwsApp {
  any(pattern: string, handler: (response: UwsResponse, request: UwsRequest) => void): void;
  /** Called with 1 for every connection that begins and with -1 for every one that ends. */
  filter(handler: (response: UwsResponse, change: number) => void): void;
  /** Options 1: the port is ours alone. The default lets a second server share it in silence. */
  listen(host: string, port: number, options: 1, callback: (socket: UwsListenSocket | false) => void): void;
  close(): void;
}

export interface UwsLibrary {
  App(): UwsApp;
  SSLApp(options: { key_file_name: string; cert_file_name: string }): UwsApp;
  us_listen_socket_close(socket: UwsListenSocket): void;
  us_socket_local_port(socket: UwsListenSocket): number;
  /** Undocumented switches; the one used leaves the library's name out of responses. */
  _cfg?(key: string): void;
}

const HIDE_NAME = '999999990007';

/** SHA-256 of the binaries of the pinned package; another package put in its place is not checked. */
const PINNED_PACKAGE = { name: 'uwebsockets', version: '3.0.6' };
const PINNED_BINARIES: Readonly<Record<string, string>> = {
  'uws_darwin_arm64_115.node': 'f6132ac4d0954ce32ed716d5b367270904c5885bc6e01dcc8ae5809a8967d504',
  'uws_darwin_arm64_127.node': '84ab0c487fbbb895afbfa24c7ac02db5922b2eb468b3a4663aaca52af29b420c',
  'uws_darwin_arm64_137.node': 'dd7623e7e600dcc1384c4a639ac05849f0c27125be8c431b702e0513e86613f0',
  'uws_darwin_x64_115.node': '7552dc27e278be4a5f9ca4f571676e9046929ef8753b1bb63b84f78e1a752a11',
  'uws_darwin_x64_127.node': '1bcd63a9cd5cda811d899b80f9b1f7c9f29d128feafebe6976069ab1045a0335',
  'uws_darwin_x64_137.node': '7df6e0b2be43048200370a64ee91d6563879f5d3b0207f846dc81377ffc4e189',
  'uws_linux_arm64_115.node': '034e0fcccdc08f90df3b130f421516311831b1352fe38eab91abc2984c2fdf3a',
  'uws_linux_arm64_127.node': 'a7d9bc3ec166421a49416d5ea4f49118ae68ea1dbf8a765c4f45a79b0b6adb13',
  'uws_linux_arm64_137.node': 'b6eb007d627e00bcce03ad38f197124e9027c03f6fe784b37f97b8a6ea709cb4',
  'uws_linux_arm_115.node': '4966e43e7620aba56bccfa54f784fd8a9e3816a19e561d211dc40ae9e9097e35',
  'uws_linux_x64_115.node': 'f4fa5d7b697529b45ac8aa3d57385d9af51bc1d2b26aa9f5b68ca4361542e665',
  'uws_linux_x64_127.node': '78e38a9a163b1cf33ce539619e5908111dea95a12e7943d95fbcdd524879caa8',
  'uws_linux_x64_137.node': '3b549c14e01d9d1faf234cdf4b6f0fb08158605e3692cd0eb1b905e327bd3449',
  'uws_win32_x64_115.node': '160eeb564c9e5887893f6b561fbcf39fecc6fbd6cacc86f461af67b3688d84fa',
  'uws_win32_x64_127.node': 'bf190a123983621f89f8ac667c354fd95f45b9b153095bdfe1167c50d1922746',
  'uws_win32_x64_137.node': 'ad2eff4924594a5dba3b451334f432bd526c33885960f8b68e85261b0ac4ff07',
};

export function loadUws(): UwsLibrary {
  const require = createRequire(import.meta.url);
  try {
    const main = require.resolve('uWebSockets.js');
    checkBinary(dirname(main));
    const library = require(main) as UwsLibrary;
    library._cfg?.(HIDE_NAME);
    return library;
  } catch (error) {
    const [reason] = errorMessage(error).split('\n');
    throw new MillraceError('platform_unsupported', `uWebSockets.js could not be loaded: ${reason ?? ''}`, {
      cause: error,
    });
  }
}

function checkBinary(directory: string): void {
  const manifest = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8')) as {
    readonly name?: string;
    readonly version?: string;
  };
  if (manifest.name !== PINNED_PACKAGE.name || manifest.version !== PINNED_PACKAGE.version) return;
  const file = `uws_${process.platform}_${process.arch}_${process.versions.modules}.node`;
  const expected = PINNED_BINARIES[file];
  if (expected === undefined) throw new Error(`there is no known binary for this platform (${file})`);
  const actual = createHash('sha256')
    .update(readFileSync(join(directory, file)))
    .digest('hex');
  if (actual !== expected) throw new Error(`${file} is not the file that was published`);
}
