/**
 * Small pages that need nothing from elsewhere: style and script stand in the page and are named by their hashes.
 */
import { createHash } from 'node:crypto';

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

const STYLE = `
:root { color-scheme: light dark; --line: #8884; --dim: #888; --mark: #2a6fdb; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 60rem; padding: 1rem; font: 16px/1.5 system-ui, sans-serif; }
code, pre { font: 14px/1.45 ui-monospace, monospace; }
pre { overflow-x: auto; padding: .75rem; border: 1px solid var(--line); border-radius: 4px; }
h2 { margin-top: 2.5rem; }
a { color: var(--mark); }
input { width: 100%; padding: .5rem; font: inherit; }
details { border: 1px solid var(--line); border-radius: 4px; margin: .4rem 0; padding: .4rem .75rem; }
summary { cursor: pointer; }
summary b { display: inline-block; min-width: 4rem; }
.dim { color: var(--dim); }
table { border-collapse: collapse; width: 100%; }
td, th { border-bottom: 1px solid var(--line); padding: .3rem .6rem .3rem 0; text-align: left; vertical-align: top; }
[hidden] { display: none; }
`;

export interface Page {
  readonly title: string;
  /** Safe HTML. */
  readonly body: string;
  /** Without `</script`. */
  readonly script?: string;
}

export function escapeHtml(text: string): string {
  return text.replaceAll(/[&<>"']/g, (character) => ENTITIES[character] ?? character);
}

/** Text as it is written in this program: `code` in back-quotes. */
export function proseHtml(text: string): string {
  return escapeHtml(text).replaceAll(/`([^`]+)`/g, '<code>$1</code>');
}

export function renderPage({ title, body, script }: Page): string {
  const element = script === undefined ? '' : `<script>${script}</script>\n`;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(title)}</title>
<style>${STYLE}</style>
</head>
<body>
${body}
${element}</body>
</html>
`;
}

/** Lets the page's own style and script in, and nothing else. */
export function contentSecurityPolicy({ script }: Page): string {
  const scripts = script === undefined ? '' : ` script-src ${hashOf(script)};`;
  const none = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
  return `${none};${scripts} style-src ${hashOf(STYLE)}`;
}

function hashOf(text: string): string {
  return `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
}
