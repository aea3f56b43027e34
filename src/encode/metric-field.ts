/** The measured columns of a host, by number, as EventBlock's setters take them. */

/** Fractions, 0–100 by convention. */
export const FloatField = { cpuUsage: 0, memoryPercentage: 1 } as const;
export type FloatField = (typeof FloatField)[keyof typeof FloatField];

/** Whole numbers below 2^64. */
export const CountField = { memoryUsed: 0, memoryTotal: 1, networkRxBytes: 2, networkTxBytes: 3 } as const;
export type CountField = (typeof CountField)[keyof typeof CountField];
