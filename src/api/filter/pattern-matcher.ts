/**
 * Runs a pattern over a text in time linear in it: Thompson's construction, with the sets of steps that were met kept
 * as states of an automaton (Cox, "Regular Expression Matching Can Be Simple And Fast", 2007). What is kept is bounded:
 * when there are too many states, all are forgotten.
 */
import type { PatternTree, Range } from './pattern-tree.ts';

type Step =
  | { readonly kind: 'set'; readonly ranges: readonly Range[] }
  | { readonly kind: 'begin' | 'end' | 'found' }
  /** Goes on at any of the targets. */
  | { readonly kind: 'fork'; readonly targets: number[] };

interface State {
  /** The steps of kind `set` that a character may fit next, ascending. */
  readonly steps: readonly number[];
  readonly isFound: boolean;
  /** Found if the text ends here. */
  readonly isFoundAtEnd: boolean;
  readonly next: Map<number, State>;
}

const MAX_STATES = 200;
const MAX_TRANSITIONS = 10_000;

export class PatternMatcher {
  readonly #program: Step[] = [];
  readonly #states = new Map<string, State>();
  readonly #start: State;
  #transitionCount = 0;

  constructor(tree: PatternTree) {
    this.#emit(tree);
    this.#program.push({ kind: 'found' });
    this.#start = this.#stateOf([0], true);
  }

  /** Whether the pattern fits somewhere in the text. */
  matches(text: string): boolean {
    let state = this.#start;
    for (let at = 0; at < text.length && !state.isFound; ) {
      const codePoint = text.codePointAt(at) ?? 0;
      at += codePoint > 0xffff ? 2 : 1;
      state = state.next.get(codePoint) ?? this.#advance(state, codePoint);
    }
    return state.isFound || state.isFoundAtEnd;
  }

  #advance(state: State, codePoint: number): State {
    const targets = state.steps.filter((step) => this.#fits(step, codePoint)).map((step) => step + 1);
    // A match may begin at any character.
    const next = this.#stateOf([...targets, 0], false);
    if (this.#transitionCount >= MAX_TRANSITIONS) this.#forget();
    this.#transitionCount += 1;
    state.next.set(codePoint, next);
    return next;
  }

  #fits(step: number, codePoint: number): boolean {
    const { ranges } = this.#program[step] as Step & { kind: 'set' };
    return ranges.some(([first, last]) => codePoint >= first && codePoint <= last);
  }

  #stateOf(targets: readonly number[], isBegin: boolean): State {
    const { steps, isFound } = this.#follow(targets, { isBegin, isEnd: false });
    const atEnd = this.#follow(targets, { isBegin, isEnd: true });
    const key = `${steps.join(',')}${isFound ? '+' : ''}${atEnd.isFound ? '$' : ''}`;
    const known = this.#states.get(key);
    if (known !== undefined) return known;
    if (this.#states.size >= MAX_STATES) this.#forget();
    const state: State = { steps, isFound, isFoundAtEnd: atEnd.isFound, next: new Map() };
    this.#states.set(key, state);
    return state;
  }

  /** Clears the transitions too: they would keep the states. */
  #forget(): void {
    for (const state of this.#states.values()) state.next.clear();
    this.#start.next.clear();
    this.#states.clear();
    this.#transitionCount = 0;
  }

  /** The steps that can be reached from `targets` without a character. */
  #follow(targets: readonly number[], place: { readonly isBegin: boolean; readonly isEnd: boolean }) {
    const seen = new Set<number>();
    const open = [...targets];
    const steps: number[] = [];
    let isFound = false;
    for (let at = open.pop(); at !== undefined; at = open.pop()) {
      if (seen.has(at)) continue;
      seen.add(at);
      const step = this.#program[at];
      if (step?.kind === 'fork') open.push(...step.targets);
      else if (step?.kind === 'set') steps.push(at);
      else if (step?.kind === 'found') isFound = true;
      else if (step?.kind === 'begin' ? place.isBegin : place.isEnd) open.push(at + 1);
    }
    return { steps: steps.toSorted((a, b) => a - b), isFound };
  }

  #emit(tree: PatternTree): void {
    switch (tree.kind) {
      case 'set':
      case 'begin':
      case 'end':
        this.#program.push(tree);
        return;
      case 'sequence':
        for (const part of tree.parts) this.#emit(part);
        return;
      case 'choice':
        this.#emitChoice(tree.parts);
        return;
      case 'repeat':
        this.#emitRepeat(tree);
        return;
      default:
        tree satisfies never;
    }
  }

  #emitChoice(parts: readonly PatternTree[]): void {
    const starts = this.#fork();
    const ends: number[][] = [];
    for (const part of parts) {
      starts.push(this.#program.length);
      this.#emit(part);
      ends.push(this.#fork());
    }
    for (const end of ends) end.push(this.#program.length);
  }

  #emitRepeat({ part, min, max }: PatternTree & { kind: 'repeat' }): void {
    for (let times = 0; times < min; times += 1) this.#emit(part);
    if (max === Number.POSITIVE_INFINITY) {
      const loop = this.#program.length;
      const enter = this.#fork();
      enter.push(this.#program.length);
      this.#emit(part);
      this.#fork().push(loop);
      enter.push(this.#program.length);
      return;
    }
    const skips: number[][] = [];
    for (let times = min; times < max; times += 1) {
      const skip = this.#fork();
      skip.push(this.#program.length);
      skips.push(skip);
      this.#emit(part);
    }
    for (const skip of skips) skip.push(this.#program.length);
  }

  /** Adds a fork; its targets are given later. */
  #fork(): number[] {
    const targets: number[] = [];
    this.#program.push({ kind: 'fork', targets });
    return targets;
  }
}
