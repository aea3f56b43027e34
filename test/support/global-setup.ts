/**
 * Global set-up of the vitest project `kafka`: one broker for all its files, or the external one that
 * MILLRACE_TEST_KAFKA_BROKERS names (comma-separated). Tests on it use topics and groups of their own.
 */
import type { TestProject } from 'vitest/node';
import { startBroker } from './kafka-broker.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    kafkaBrokers: string;
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const external = process.env['MILLRACE_TEST_KAFKA_BROKERS'] ?? '';
  if (external !== '') {
    project.provide('kafkaBrokers', external);
    return () => Promise.resolve();
  }
  const broker = await startBroker();
  project.provide('kafkaBrokers', broker.brokers);
  return () => broker.stop();
}
