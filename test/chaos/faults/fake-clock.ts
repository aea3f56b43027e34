/**
 * A program's clock shifted, stepped or run faster, by libfaketime (Debian package `faketime`) in its environment.
 *
 * Covered: the time of day as every thread of the Node process sees it (`Date`, file times, timestamps of kafkajs).
 * Not covered, on purpose: the monotonic clock, so that timers and `performance.now()` stay true, as on a real machine
 * whose time of day is wrong; and ClickHouse, whose library asks the system itself (seen: `now64()` stays true under
 * LD_PRELOAD, while its waits get slow). It is therefore left out of the environment of children: the store's clock
 * and the program's differ, which is the harder case.
 */
import { access, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

const CANDIDATES = ['x86_64-linux-gnu/', 'aarch64-linux-gnu/', ''].map(
  (folder) => `/usr/lib/${folder}faketime/libfaketimeMT.so.1`,
);
/** How long the library keeps what it read of its file, in whole seconds; and until it surely has read it again. */
const CACHE_SECONDS = 1;
const SETTLE_MS = 2500;
/** Children must not inherit it. */
const FORGET_PRELOAD = '--import=data:text/javascript,delete%20process.env.LD_PRELOAD';

/** Offset to the true time, or the true rate times so many since the program's start. */
export type ClockSetting = { readonly offsetSeconds: number } | { readonly rate: number };

export interface FakeClock {
  /** For the program that is to live by this clock. */
  readonly environment: Readonly<Record<string, string>>;
  /** Resolves when running programs have seen it. */
  set(setting: ClockSetting): Promise<void>;
}

/** A clock that is right until it is set; keeps a file in `directory`. Throws when libfaketime is not installed. */
export async function createFakeClock(directory: string, setting?: ClockSetting): Promise<FakeClock> {
  const file = join(directory, 'clock');
  await writeFile(file, textOf(setting ?? { offsetSeconds: 0 }));
  return {
    environment: {
      LD_PRELOAD: await findLibrary(),
      NODE_OPTIONS: FORGET_PRELOAD,
      FAKETIME_TIMESTAMP_FILE: file,
      FAKETIME_CACHE_DURATION: String(CACHE_SECONDS),
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
    },
    async set(next) {
      await writeFile(file, textOf(next));
      await delay(SETTLE_MS);
    },
  };
}

function textOf(setting: ClockSetting): string {
  if ('rate' in setting) return `+0 x${setting.rate}\n`;
  return `${setting.offsetSeconds < 0 ? '-' : '+'}${Math.abs(setting.offsetSeconds)}\n`;
}

/** Empty: clocks can be faked on this machine; otherwise why not. */
export async function fakeClockProblem(): Promise<string> {
  return await findLibrary().then(
    () => '',
    (error: Error) => error.message,
  );
}

async function findLibrary(): Promise<string> {
  for (const path of CANDIDATES) {
    const isThere = await access(path).then(
      () => true,
      () => false,
    );
    if (isThere) return path;
  }
  throw new Error('libfaketime is not here (Debian: apt-get install faketime)');
}
