/**
 * `/problems/:code`: what the `type` of a refusal leads to.
 */
import { ERROR_KINDS, type ErrorCode } from '../../errors.ts';
import { escapeHtml, type Page, proseHtml } from './html.ts';

/** What can be done, for the codes that a client can do something about. */
const ADVICE: Readonly<Partial<Record<ErrorCode, string>>> = {
  bad_request: 'Mend the request: `detail` and `errors` name the parameter, and what was probably meant.',
  unauthorized: 'Log in again, or refresh: the token is missing, expired or ended.',
  forbidden: 'Ask an administrator for a role that may do this.',
  not_found: 'What is outside of what you may see is not found either.',
  method_not_allowed: 'The header `Allow` lists the methods of this address.',
  payload_too_large: 'Send less at once.',
  unsupported_media_type: 'Send one of the media types that the reference lists for this operation.',
  unprocessable:
    'The request is understood and refused: `errors` points at the fields, or `detail` says what it would cost.',
  already_exists: 'Take another name, or change what is there.',
  idempotency_key_reused: 'Take a new key for another body.',
  request_in_progress:
    'Send the same again a little later: it will be answered from what becomes of the first.',
  too_many_requests: 'Wait for the seconds of `Retry-After`.',
};
const RETRY = 'Nothing is wrong with the request: send it again after the seconds of `Retry-After`.';
const REPORT = 'The log of the program has the cause under the `request_id` of the answer.';

export function problemPage(code: ErrorCode): Page {
  const { title, status, isRetryable } = ERROR_KINDS[code];
  const advice = ADVICE[code] ?? (isRetryable ? RETRY : REPORT);
  const body = `<h1>${escapeHtml(title)}</h1>
<p><code>${code}</code>, HTTP status ${status}, ${isRetryable ? 'may pass by itself' : 'will not pass by itself'}.</p>
<p>${proseHtml(advice)}</p>
<p><a href="/docs">Reference</a></p>`;
  return { title, body };
}
