/** How long rows are kept of what has no class of its own: the same for whoever parses records. */
export const DEFAULT_RETENTION_DAYS = 30;
