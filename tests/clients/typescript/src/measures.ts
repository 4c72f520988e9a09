/** Statistics of activations, measured where the model is: see README.md in the folder above. */
import { selector, type Place, type Value } from "./interventions.js";
import type { CollectStatisticsRequest } from "./generated/lab/model_host/v1/CollectStatisticsRequest.js";
import type { CollectStatisticsResponse__Output } from "./generated/lab/model_host/v1/CollectStatisticsResponse.js";
import type { CorpusInput } from "./generated/lab/model_host/v1/CorpusInput.js";
import type { Input } from "./generated/lab/model_host/v1/Input.js";
import type { Intervention } from "./generated/lab/model_host/v1/Intervention.js";
import type { MergeStatisticsRequest } from "./generated/lab/model_host/v1/MergeStatisticsRequest.js";
import type { StatisticsProgress__Output } from "./generated/lab/model_host/v1/StatisticsProgress.js";
import type { StatisticsSummary__Output } from "./generated/lab/model_host/v1/StatisticsSummary.js";
import { TensorReader, type Tensor } from "./tensors.js";

const PART_BYTES = 1 << 20;

const STATISTICS = {
  mean: "STATISTIC_MEAN", variance: "STATISTIC_VARIANCE", norm: "STATISTIC_NORM", quantiles: "STATISTIC_QUANTILES", topTokens: "STATISTIC_TOP_TOKENS",
  bottomTokens: "STATISTIC_BOTTOM_TOKENS", range: "STATISTIC_RANGE", nonzero: "STATISTIC_NONZERO", covariance: "STATISTIC_COVARIANCE",
} as const;

/** What can be measured; by default mean, variance and norm are. */
export type Statistic = keyof typeof STATISTICS;

/** Rows of a stored corpus: by default all of its training split, each as long as the model's context. */
export type Corpus = CorpusInput & { artifact: string };

/** What is to be told of it. */
export interface Report {
  /** Quantiles, each from 0 to 1. */
  quantiles?: readonly number[];
  /** Whether the state is wanted, for a later merge. */
  sendState?: boolean;
  /** The name of the artifact that is to be made; an empty one makes it without a name. */
  store?: string;
}

/** What a measurement may have besides; the API's own fields, such as `topK` and `skipFirstToken`, too. */
export interface MeasureOptions
  extends Report, Omit<CollectStatisticsRequest, "model" | "inputs" | "corpus" | "selectors" | "statistics" | "quantiles" | "sendState" | "store" | "interventions"> {
  interventions?: readonly Intervention[];
  /** Gets the API's messages. */
  progress?: (progress: StatisticsProgress__Output) => void;
}

/** What was measured: a tensor for each hook and statistic, by "<hook>/<statistic>". */
export class Measured {
  readonly tensors = new Map<string, Tensor>();
  /** For `Host.merge`, if it was asked for. */
  state: Buffer = Buffer.alloc(0);
  /** Tokens, those that were not finite, the artifact. */
  summary!: StatisticsSummary__Output;

  /** The tensor of a name. */
  get(name: string): Tensor {
    const tensor = this.tensors.get(name);
    if (!tensor) throw new RangeError(`'${name}' was not measured; there are ${[...this.tensors.keys()].join(", ")}`);
    return tensor;
  }

  /** The mean as a value for interventions, which the service reads from its own store. */
  storedMean(hook: string): Value {
    return { stored: { artifact: this.summary.artifactDigest, key: `${hook}/mean` } };
  }
}

/** The API's CollectStatisticsRequest. */
export function measureRequest(model: string, over: readonly Input[] | Corpus, places: readonly Place[], statistics: readonly Statistic[], options: MeasureOptions): CollectStatisticsRequest {
  const { progress: _, quantiles = [], store, sendState = false, interventions = [], ...fields } = options;
  return {
    ...fields,
    ...("artifact" in over ? { corpus: over } : { inputs: [...over] }),
    model,
    selectors: places.map(selector),
    interventions: [...interventions],
    ...report(statistics, { quantiles, sendState, store }),
  };
}

/** The messages of MergeStatistics: states as bytes or Measured, stored statistics as names or digests. */
export function* mergeRequests(measured: Iterable<Measured | Uint8Array | string>, statistics: readonly Statistic[], options: Report): Generator<MergeStatisticsRequest> {
  yield { options: report(statistics, options) };
  let index = 0;
  for (const one of measured) {
    if (typeof one === "string") {
      yield { artifact: one };
      continue;
    }
    const state = one instanceof Measured ? one.state : one;
    for (let start = 0; start < state.length; start += PART_BYTES) yield { state: { index, data: Buffer.from(state.subarray(start, start + PART_BYTES)) } };
    index++;
  }
}

/** All that a call about statistics sends. */
export async function readMeasured(responses: AsyncIterable<CollectStatisticsResponse__Output>, progress?: MeasureOptions["progress"]): Promise<Measured> {
  const measured = new Measured(), reader = new TensorReader(), state: Buffer[] = [];
  for await (const response of responses) {
    const tensor = response.frame && reader.accept(response.frame);
    if (tensor) measured.tensors.set(tensor.name, tensor);
    if (response.response === "state") state.push(response.state as Buffer);
    if (response.progress) progress?.(response.progress);
    if (response.summary) measured.summary = response.summary;
  }
  reader.complete();
  measured.state = Buffer.concat(state);
  return measured;
}

const report = (statistics: readonly Statistic[], { quantiles = [], sendState = false, store }: Report) =>
  ({ statistics: statistics.map((name) => STATISTICS[name]), quantiles: [...quantiles], sendState, store: store === undefined ? undefined : { name: store } });
