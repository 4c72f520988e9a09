/** Arithmetic of the checks. */
import { strict as assert } from "node:assert";
import type { Tensor } from "./tensors.js";

const TOLERANCE = 1e-5;

/** The largest difference, absolute where values are small and relative where they are large. */
export function difference(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  assert.equal(actual.length, expected.length);
  let most = 0;
  for (let i = 0; i < actual.length; i++) {
    const found = Math.abs(actual[i]! - expected[i]!) / Math.max(1, Math.abs(expected[i]!));
    if (Number.isNaN(found)) return NaN;
    most = Math.max(most, found);
  }
  return most;
}

/** Requires that two are as good as equal. */
export function near(actual: ArrayLike<number>, expected: ArrayLike<number>, tolerance = TOLERANCE): number {
  const found = difference(actual, expected);
  assert.ok(found <= tolerance, `they differ by ${found}`);
  return found;
}

/** Numbers from -1 to 1, the same each time. */
export function vector(length: number, seed: number): Float32Array {
  let state = seed;
  return Float32Array.from({ length }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  });
}

/** A tensor's rows plus a vector, times a factor of the row. */
export const plus = (tensor: Tensor, change: ArrayLike<number>, factor = (_row: number) => 1): Float32Array =>
  Float32Array.from(tensor.data as ArrayLike<number>, (x, i) => x + factor(Math.floor(i / change.length)) * change[i % change.length]!);
