/**
 * `/docs`: the document as a page to read and to search. Readable without its script.
 */
import { escapeHtml, type Page, proseHtml } from './html.ts';
import { commentText, type JsonSchema, typeText } from './type-text.ts';

interface Media {
  readonly schema: JsonSchema;
  readonly example?: unknown;
}

export interface Parameter {
  readonly name: string;
  readonly in: string;
  readonly required?: boolean;
  readonly description?: string;
  readonly schema: JsonSchema & { readonly default?: unknown };
}

interface Response {
  readonly description: string;
  readonly content?: Readonly<Record<string, Media>>;
}

/** An operation as the document has it. */
interface OperationObject {
  readonly operationId: string;
  readonly summary: string;
  readonly description?: string;
  readonly tags: readonly string[];
  readonly parameters?: readonly Parameter[];
  readonly requestBody?: { readonly content: Readonly<Record<string, Media>> };
  readonly responses: Readonly<Record<string, Response>>;
  readonly security: readonly unknown[];
  readonly 'x-permission': string;
  readonly 'x-roles': readonly string[];
  /** Whether a role with a scope passes. */
  readonly 'x-scoped': boolean;
}

/** The document of `openApiDocument`, as far as pages and clients read it. */
export interface OpenApi {
  readonly info: { readonly title: string; readonly version: string; readonly description: string };
  readonly servers: readonly { readonly url: string }[];
  readonly tags: readonly { readonly name: string; readonly description: string }[];
  readonly paths: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, JsonSchema>> };
}

export interface Described {
  readonly method: string;
  /** Such as `/logs/{id}`. */
  readonly path: string;
  /** Before the path: `/api/v1` or nothing. */
  readonly base: string;
  readonly operation: OperationObject;
}

const METHODS: ReadonlySet<string> = new Set(['get', 'post', 'put', 'patch', 'delete']);

/** Hides what does not hold all words of the search, and opens what the address names. */
const SCRIPT = `
const box = document.querySelector('input');
const items = [...document.querySelectorAll('details')].map((item) => [item, item.textContent.toLowerCase()]);
const sections = [...document.querySelectorAll('section')];
function search() {
  const words = box.value.toLowerCase().split(/\\s+/).filter(Boolean);
  for (const [item, text] of items) item.hidden = !words.every((word) => text.includes(word));
  for (const section of sections) section.hidden = section.querySelector('details:not([hidden])') === null;
}
function open() {
  const item = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (item instanceof HTMLDetailsElement) item.open = true;
}
box.hidden = false;
box.addEventListener('input', search);
addEventListener('hashchange', open);
open();
`;

/** Every operation of the document, in its order. */
export function operationsOf({ paths, servers }: OpenApi): Described[] {
  return Object.entries(paths).flatMap(([path, item]) => {
    const base = 'servers' in item ? '' : (servers[0]?.url ?? '');
    const methods = Object.entries(item).filter(([method]) => METHODS.has(method));
    return methods.map(([method, operation]) => {
      return { method: method.toUpperCase(), path, base, operation: operation as OperationObject };
    });
  });
}

export function referencePage(document: OpenApi): Page {
  const { info, tags, components } = document;
  const operations = operationsOf(document);
  const names = new Set(Object.keys(components.schemas));
  const sections = tags.map(({ name, description }) => {
    const own = operations.filter(({ operation }) => operation.tags.includes(name));
    const items = own.map((described) => operationHtml(described, names)).join('\n');
    return `<section>\n<h2>${escapeHtml(name)}</h2>\n<p>${proseHtml(description)}</p>\n${items}\n</section>`;
  });
  const schemas = Object.entries(components.schemas).map(([name, schema]) => schemaHtml(name, schema, names));
  const body = `<h1>${escapeHtml(info.title)} API</h1>
<p>${proseHtml(info.description)}</p>
<p>For programs: <a href="/openapi.json">openapi.json</a>.</p>
<input type="search" placeholder="Search" aria-label="Search" hidden>
${sections.join('\n')}
<section>\n<h2>schemas</h2>\n${schemas.join('\n')}\n</section>`;
  return { title: `${info.title} API`, body, script: SCRIPT };
}

function operationHtml({ method, path, base, operation }: Described, names: ReadonlySet<string>): string {
  const { operationId, summary, description, parameters = [], requestBody, responses } = operation;
  const parts = [
    description === undefined ? '' : `<p>${proseHtml(description)}</p>`,
    `<p class="dim">${accessText(operation)}</p>`,
    parameters.length === 0 ? '' : parametersHtml(parameters),
    requestBody === undefined ? '' : `<h4>Body</h4>${contentHtml(requestBody.content, names)}`,
    ...Object.entries(responses).map(([status, { description: text, content = {} }]) => {
      return `<h4>${status}</h4><p>${proseHtml(text)}</p>${contentHtml(content, names)}`;
    }),
  ];
  const address = `<b>${method}</b> <code>${escapeHtml(base + path)}</code>`;
  return `<details id="${escapeHtml(operationId)}">
<summary>${address} <span class="dim">${escapeHtml(summary)}</span></summary>
${parts.filter((part) => part !== '').join('\n')}
</details>`;
}

function accessText(operation: OperationObject): string {
  const { security, 'x-permission': permission, 'x-roles': roles, 'x-scoped': isScoped } = operation;
  if (security.length === 0) return 'Needs no login.';
  if (permission === 'signed_in') return 'For every role.';
  const names = roles.map(escapeHtml).join(', ');
  return isScoped ? `For ${names}; held to the scope.` : `For ${names} without a scope.`;
}

function parametersHtml(parameters: readonly Parameter[]): string {
  const rows = parameters.map(({ name, in: place, required, description = '', schema }) => {
    const type = escapeHtml(typeText(schema));
    const fallback =
      schema.default === undefined ? '' : `, default ${escapeHtml(JSON.stringify(schema.default))}`;
    const notes = `${place}${required === true ? ', required' : ''}${fallback}`;
    const note = `<span class="dim">${notes}</span>`;
    return `<tr><td><code>${escapeHtml(name)}</code></td><td><code>${type}</code><br>${note}</td><td>${proseHtml(description)}</td></tr>`;
  });
  return `<table><tbody>${rows.join('')}</tbody></table>`;
}

function contentHtml(content: Readonly<Record<string, Media>>, names: ReadonlySet<string>): string {
  const parts = Object.entries(content).map(([type, { schema, example }]) => {
    const text = typeof example === 'string' ? example : JSON.stringify(example, null, 2);
    const shape = linked(typeText(schema), names);
    return `<p><code>${escapeHtml(type)}</code> <code>${shape}</code></p><pre>${escapeHtml(text)}</pre>`;
  });
  return parts.join('');
}

function schemaHtml(name: string, schema: JsonSchema, names: ReadonlySet<string>): string {
  const text = `${commentText(schema.description, '')}type ${name} = ${typeText(schema)}`;
  return `<details id="schema-${name}">\n<summary><code>${name}</code></summary>\n<pre>${linked(text, names)}</pre>\n</details>`;
}

/** Names of schemas lead to them, except in comments. */
function linked(text: string, names: ReadonlySet<string>): string {
  const lines = text.split('\n').map((line) => {
    if (line.trimStart().startsWith('/**')) return `<span class="dim">${escapeHtml(line)}</span>`;
    return escapeHtml(line).replaceAll(/\b[A-Z]\w+/g, (word) =>
      names.has(word) ? `<a href="#schema-${word}">${word}</a>` : word,
    );
  });
  return lines.join('\n');
}
