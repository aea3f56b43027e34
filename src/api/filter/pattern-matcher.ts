/**
 * Runs a pattern over a text in time linear in it: Thompson's construction, with the sets of steps that were met kept
 * as states of an automaton (Cox, "Regular Expression Matching Can Be Simple And Fast", 2007). What is kept is bounded:
 * when there are too many states, all are forgotten. A meter is told what that costs.
 */
import { CharacterClasses } from './character-classes.ts';
import type { PatternTree, Range } from './pattern-tree.ts';
import type { WorkMeter } from './work-meter.ts';

type Step =
  | { readonly kind: 'set'; readonly ranges: readonly Range[] }
  | { readonly kind: 'begin' | 'end' | 'found' }
  /** Goes on at any of the targets. */
  | { readonly kind: 'fork'; readonly targets: number[] };

interface State {
  /** The steps that wait for a character or for the end of the text, ascending. */
  readonly steps: Uint16Array;
  readonly isFound: boolean;
  /** By class of characters. */
  readonly next: Map<number, State>;
}

/** What is true of a place in the text. */
interface Place {
  readonly isBegin: boolean;
  readonly isEnd: boolean;
}

const MAX_STATES = 64;
const MAX_TRANSITIONS = 2000;
/** What going on to another state costs besides its steps, in steps. */
const STATE_STEPS = 16;
const INSIDE: Place = { isBegin: false, isEnd: false };

export class PatternMatcher {
  readonly #program: Step[] = [];
  readonly #states = new Map<string, State>();
  readonly #start: State;
  readonly #classes: CharacterClasses;
  readonly #meter: WorkMeter | undefined;
  /** Per step, the number of the walk that met it last. */
  readonly #met: Uint32Array;
  #walkCount = 0;
  #transitionCount = 0;

  constructor(tree: PatternTree, meter?: WorkMeter) {
    this.#meter = meter;
    this.#emit(tree);
    this.#program.push({ kind: 'found' });
    this.#classes = new CharacterClasses(
      this.#program.flatMap((step) => (step.kind === 'set' ? step.ranges : [])),
    );
    this.#met = new Uint32Array(this.#program.length);
    this.#start = this.#stateOf([0], { isBegin: true, isEnd: false });
  }

  /** Whether the pattern fits somewhere in the text. Throws what the meter does. */
  matches(text: string): boolean {
    let state = this.#start;
    for (let at = 0; at < text.length && !state.isFound; ) {
      const codePoint = text.codePointAt(at) ?? 0;
      at += codePoint > 0xffff ? 2 : 1;
      const characters = this.#classes.of(codePoint);
      state = state.next.get(characters) ?? this.#advance(state, characters);
    }
    return state.isFound || this.#follow([...state.steps], { isBegin: text === '', isEnd: true }).isFound;
  }

  #advance(state: State, characters: number): State {
    this.#meter?.spend(STATE_STEPS + state.steps.length);
    const codePoint = this.#classes.first(characters);
    // A match may begin at any character.
    const targets = [0];
    for (const step of state.steps) if (this.#fits(step, codePoint)) targets.push(step + 1);
    const next = this.#stateOf(targets, INSIDE);
    if (this.#transitionCount >= MAX_TRANSITIONS) this.#forget();
    this.#transitionCount += 1;
    state.next.set(characters, next);
    return next;
  }

  #fits(at: number, codePoint: number): boolean {
    const step = this.#program[at];
    return (
      step?.kind === 'set' && step.ranges.some(([first, last]) => codePoint >= first && codePoint <= last)
    );
  }

  #stateOf(targets: number[], place: Place): State {
    const { steps, isFound } = this.#follow(targets, place);
    const key = String.fromCharCode(...steps);
    // Nobody goes on from a state in which the pattern was found.
    const known = isFound ? undefined : this.#states.get(key);
    if (known !== undefined) return known;
    if (this.#states.size >= MAX_STATES) this.#forget();
    const state: State = { steps, isFound, next: new Map() };
    if (!isFound) this.#states.set(key, state);
    return state;
  }

  /** Clears the transitions too: they would keep the states. */
  #forget(): void {
    for (const state of this.#states.values()) state.next.clear();
    this.#start.next.clear();
    this.#states.clear();
    this.#transitionCount = 0;
  }

  /** The steps that can be reached from `open` without a character; uses up the list. */
  #follow(open: number[], { isBegin, isEnd }: Place) {
    this.#walkCount += 1;
    const steps: number[] = [];
    let isFound = false;
    for (let at = open.pop(); at !== undefined; at = open.pop()) {
      if (this.#met[at] === this.#walkCount) continue;
      this.#met[at] = this.#walkCount;
      const step = this.#program[at];
      if (step?.kind === 'fork') open.push(...step.targets);
      else if (step?.kind === 'found') isFound = true;
      else if (step?.kind === 'set' || (step?.kind === 'end' && !isEnd)) steps.push(at);
      else if (isBegin || step?.kind === 'end') open.push(at + 1);
    }
    return { steps: Uint16Array.from(steps).toSorted(), isFound };
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
