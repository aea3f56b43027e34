/** Name of the level of events that have none, in answers and in filters; their column is empty. */
export const NO_LEVEL = 'UNSET';
