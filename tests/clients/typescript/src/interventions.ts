/** Selectors, interventions and objectives, each a function that makes the message of the API. */
import type { GradientTarget } from "./generated/lab/model_host/v1/GradientTarget.js";
import type { Intervention } from "./generated/lab/model_host/v1/Intervention.js";
import type { Objective } from "./generated/lab/model_host/v1/Objective.js";
import type { Selector } from "./generated/lab/model_host/v1/Selector.js";
import type { StoredTensor } from "./generated/lab/model_host/v1/StoredTensor.js";
import type { TensorSource } from "./generated/lab/model_host/v1/TensorSource.js";
import type { WeightEdit } from "./generated/lab/model_host/v1/WeightEdit.js";
import { toMessage, type Tensor } from "./tensors.js";

export type { GradientTarget, Intervention, Objective, Selector, WeightEdit };

/** A hook's name, an alias, a glob ("blocks.*.hook_resid_post"), or a selector that `at` makes. */
export type Place = string | Selector;

/** A number, a vector, a tensor, or one of the store. */
export type Value = number | readonly number[] | Tensor["data"] | Tensor | { stored: StoredTensor };

/** What an intervention may have besides. */
export interface Options {
  /** Do not fail the call if it never fires. */
  allowUnfired?: boolean;
}

/** What an intervention's strength is in units of: activations, or the norm of the token's own. */
export type Unit = "absolute" | "residualNorm";

/** Which part of which activations: hooks, and the fields of the API's Selector. */
export function at(hooks: string | readonly string[], part: Omit<Selector, "hook" | "hooks"> = {}): Selector {
  return { ...part, ...(typeof hooks === "string" ? { hook: hooks } : { hooks: [...hooks] }) };
}

/** The selector of a place. */
export const selector = (place: Place): Selector => (typeof place === "string" ? at(place) : place);

/** A value as the API takes it. */
export function source(value: Value): TensorSource {
  if (typeof value === "number") return { inline: toMessage([value], []) };
  if ("stored" in value) return value;
  return { inline: "shape" in value ? toMessage(value.data, value.shape) : toMessage(value, [value.length]) };
}

const unitOf = (unit: Unit) => (unit === "absolute" ? "STRENGTH_UNIT_ABSOLUTE" : "STRENGTH_UNIT_RESIDUAL_NORM");
const change = (place: Place, operation: Intervention, options?: Options): Intervention => ({ ...operation, ...options, selector: selector(place) });

/** x + coefficient * value: steering. */
export const add = (place: Place, value: Value, coefficient = 1, unit: Unit = "absolute", options?: Options) =>
  change(place, { add: { value: source(value), coefficient, unit: unitOf(unit) } }, options);
/** The value. */
export const setTo = (place: Place, value: Value, options?: Options) => change(place, { set: { value: source(value) } }, options);
/** factor * x. */
export const scale = (place: Place, factor: number, options?: Options) => change(place, { scale: { factor } }, options);
/** 0: zero ablation. */
export const zero = (place: Place, options?: Options) => change(place, { zero: {} }, options);
/** The channel's mean, given or that of the batch: mean ablation. */
export const mean = (place: Place, value?: Value, options?: Options) => change(place, { mean: value === undefined ? {} : { value: source(value) } }, options);
/** What another row of the batch has there: activation patching. */
export const patch = (place: Place, sourceRow: number, options?: Options) => change(place, { patch: { sourceRow } }, options);
/** x, moved into an interval. */
export const clamp = (place: Place, bounds: { min?: number; max?: number }, options?: Options) => change(place, { clamp: bounds }, options);
/** x + Gaussian noise. */
export const noise = (place: Place, std: number, seed = 0, unit: Unit = "absolute", options?: Options) =>
  change(place, { noise: { std, seed, unit: unitOf(unit) } }, options);
/** x without its components along directions: directional ablation. */
export const projectOut = (place: Place, directions: Value, options?: Options) => change(place, { projectOut: { directions: source(directions) } }, options);
/** Only the components along directions. */
export const projectOnto = (place: Place, directions: Value, options?: Options) => change(place, { projectOnto: { directions: source(directions) } }, options);
/** x with another row's components along directions: distributed interchange. */
export const swapSubspace = (place: Place, directions: Value, sourceRow: number, options?: Options) =>
  change(place, { swapSubspace: { directions: source(directions), sourceRow } }, options);
/** What the same rows have there without any intervention. */
export const freeze = (place: Place, options?: Options) => change(place, { freeze: {} }, options);
/** Without the component: a block's hook_resid_post, hook_attn_out or hook_mlp_out. */
export const skip = (place: Place, options?: Options) => change(place, { skip: {} }, options);

/**
 * A change to a parameter for one request: W + coefficient * b * a, and coefficient * bias added to its output.
 * tokens: a selector without hooks, for the tokens whose computation uses it; by default all.
 */
export function editWeights(
  parameter: string,
  { lowRank, bias, coefficient = 1, tokens, allowUnfired }: { lowRank?: readonly [b: Value, a: Value]; bias?: Value; coefficient?: number; tokens?: Selector } & Options,
): WeightEdit {
  const product = lowRank && { b: source(lowRank[0]), a: source(lowRank[1]) };
  return { parameter, lowRank: product, bias: bias === undefined ? undefined : source(bias), coefficient, tokens, allowUnfired };
}

/** The loss of every position's next token. */
export const crossEntropy = (): Objective => ({ crossEntropy: {} });
/** In every row, the logit of one token minus that of another. */
export const logitDifference = (tokenA: number, tokenB?: number, position = -1): Objective => ({ logitDifference: { pairs: [{ position, tokenA, tokenB }] } });
/** How far the interventions moved the predictions. */
export const klToClean = (positions: readonly number[] = []): Objective => ({ klToClean: { positions: [...positions] } });
/** A gradient that was computed outside, at activations or at "logits". */
export const upstream = (place: Place, gradient: Value): Objective => ({ upstream: { gradients: [{ selector: selector(place), gradient: source(gradient) }] } });
