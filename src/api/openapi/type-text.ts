/**
 * A schema of the document as the text of a TypeScript type: for the typed client, and for who reads the reference.
 */

/** The keywords that the schemas of the document use. */
export interface JsonSchema {
  readonly $ref?: string;
  readonly type?: string;
  readonly description?: string;
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly JsonSchema[];
  readonly items?: JsonSchema;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly patternProperties?: Readonly<Record<string, JsonSchema>>;
  readonly additionalProperties?: JsonSchema | boolean;
}

const SCALARS: Readonly<Record<string, string>> = {
  string: 'string',
  integer: 'number',
  number: 'number',
  boolean: 'boolean',
  null: 'null',
};

/** `indent` is what the lines after the first begin with. */
export function typeText(schema: JsonSchema, indent = ''): string {
  if (schema.$ref !== undefined) return schema.$ref.slice(schema.$ref.lastIndexOf('/') + 1);
  if ('const' in schema) return literal(schema.const);
  if (schema.enum !== undefined) return schema.enum.map(literal).join(' | ');
  if (schema.anyOf !== undefined) return schema.anyOf.map((part) => typeText(part, indent)).join(' | ');
  if (schema.type === 'array') return `readonly ${atom(typeText(schema.items ?? {}, indent))}[]`;
  if (schema.type === 'object') return objectText(schema, indent);
  return SCALARS[schema.type ?? ''] ?? 'unknown';
}

/** A doc comment above what it describes, with a line break; empty when there is nothing to say. */
export function commentText(description: string | undefined, indent: string): string {
  return description === undefined ? '' : `${indent}/** ${description.replaceAll('*/', '* /')} */\n`;
}

function objectText(schema: JsonSchema, indent: string): string {
  const { properties = {}, required = [], additionalProperties: rest } = schema;
  const inner = `${indent}  `;
  const lines = Object.entries(properties).map(([name, property]) => {
    const mark = required.includes(name) ? '' : '?';
    const comment = commentText(property.description, inner);
    return `${comment}${inner}readonly ${keyText(name)}${mark}: ${typeText(property, inner)};\n`;
  });
  const values = [
    ...(rest === true ? ['unknown'] : []),
    ...(typeof rest === 'object' ? [typeText(rest, inner)] : []),
    ...Object.values(schema.patternProperties ?? {}).map((value) => typeText(value, inner)),
  ];
  if (lines.length === 0) return `Readonly<Record<string, ${values.join(' | ') || 'never'}>>`;
  if (values.length > 0) lines.push(`${inner}readonly [name: string]: unknown;\n`);
  return `{\n${lines.join('')}${indent}}`;
}

function atom(text: string): string {
  return /^[\w<>]+$/.test(text) ? text : `(${text})`;
}

function keyText(name: string): string {
  return /^[A-Za-z_$][\w$]*$/.test(name) ? name : literal(name);
}

function literal(value: unknown): string {
  return typeof value === 'string'
    ? `'${JSON.stringify(value).slice(1, -1).replaceAll("'", "\\'")}'`
    : String(value);
}
