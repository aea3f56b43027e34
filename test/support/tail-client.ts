/** A client of a live tail that reads events as a browser does. */

export interface TailEvent {
  readonly name: string;
  readonly id: string;
  readonly data: Readonly<Record<string, any>>; // oxlint-disable-line typescript/no-explicit-any
}

export class TailClient {
  readonly events: TailEvent[] = [];
  status = 0;
  hasEnded = false;
  readonly #abort = new AbortController();
  #onEvent: ((event: TailEvent) => void) | undefined;
  #reading: Promise<void> | undefined;
  #response: Response | undefined;

  /** Resolves with the head; events are read when `read` is called. */
  static async open(
    url: string,
    headers: Record<string, string>,
    onEvent?: (event: TailEvent) => void,
  ): Promise<TailClient> {
    const client = new TailClient();
    client.#onEvent = onEvent;
    const response = await fetch(url, { headers, signal: client.#abort.signal });
    client.status = response.status;
    client.#response = response;
    return client;
  }

  get lastId(): string {
    return this.events.at(-1)?.id ?? '';
  }

  of(name: string): TailEvent['data'][] {
    return this.events.filter((event) => event.name === name).map(({ data }) => data);
  }

  get messages(): string[] {
    return this.of('log').map(({ message }) => message as string);
  }

  read(): void {
    this.#reading ??= this.#read();
  }

  async close(): Promise<void> {
    this.#abort.abort();
    await this.#reading;
  }

  async #read(): Promise<void> {
    let rest = '';
    const decoder = new TextDecoder();
    try {
      for await (const chunk of this.#response!.body!) {
        const parts = (rest + decoder.decode(chunk, { stream: true })).split('\n\n');
        rest = parts.pop() ?? '';
        for (const part of parts) this.#add(part);
      }
      this.hasEnded = true;
    } catch {
      // Cut off, here or there.
    }
  }

  #add(block: string): void {
    const fields = new Map(block.split('\n').map((line) => line.split(/: (.*)/s) as [string, string]));
    if (!fields.has('event')) return;
    const data = JSON.parse(fields.get('data')!) as TailEvent['data'];
    const event = { name: fields.get('event')!, id: fields.get('id')!, data };
    this.events.push(event);
    this.#onEvent?.(event);
  }
}
