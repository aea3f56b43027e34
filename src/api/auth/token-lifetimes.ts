/**
 * How long tokens are valid, in seconds.
 */
export const ACCESS_TOKEN_SECONDS = 15 * 60;
export const REFRESH_TOKEN_SECONDS = 7 * 24 * 60 * 60;
export const TICKET_SECONDS = 30;
