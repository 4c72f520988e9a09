/** ModelHost from TypeScript: see README.md in the folder above. */
import { fileURLToPath } from "node:url";
import { credentials, loadPackageDefinition, type ClientDuplexStream, type ClientReadableStream } from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import { LabError } from "./errors.js";
import type { DiffRequest } from "./generated/lab/model_host/v1/DiffRequest.js";
import type { DiffSummary__Output } from "./generated/lab/model_host/v1/DiffSummary.js";
import type { GenerateRequest } from "./generated/lab/model_host/v1/GenerateRequest.js";
import type { GradientsSummary__Output } from "./generated/lab/model_host/v1/GradientsSummary.js";
import type { Hook__Output } from "./generated/lab/model_host/v1/Hook.js";
import type { Input } from "./generated/lab/model_host/v1/Input.js";
import type { LoadModelRequest } from "./generated/lab/model_host/v1/LoadModelRequest.js";
import type { Model__Output } from "./generated/lab/model_host/v1/Model.js";
import type { ModelHostServiceClient } from "./generated/lab/model_host/v1/ModelHostService.js";
import type { ListParametersResponse__Output } from "./generated/lab/model_host/v1/ListParametersResponse.js";
import type { Parameter__Output } from "./generated/lab/model_host/v1/Parameter.js";
import type { PlanResponse__Output } from "./generated/lab/model_host/v1/PlanResponse.js";
import type { RunManyRequest } from "./generated/lab/model_host/v1/RunManyRequest.js";
import type { RunManyResponse__Output } from "./generated/lab/model_host/v1/RunManyResponse.js";
import type { RunRequest } from "./generated/lab/model_host/v1/RunRequest.js";
import type { RunStarted__Output } from "./generated/lab/model_host/v1/RunStarted.js";
import type { RunSummary__Output } from "./generated/lab/model_host/v1/RunSummary.js";
import type { SampledToken__Output } from "./generated/lab/model_host/v1/SampledToken.js";
import type { TensorFrame__Output } from "./generated/lab/tensor/v1/TensorFrame.js";
import type { ProtoGrpcType } from "./generated/model_host_service.js";
import { add, selector, type GradientTarget, type Intervention, type Objective, type Place, type Value } from "./interventions.js";
import { measureRequest, mergeRequests, readMeasured, type Corpus, type Measured, type MeasureOptions, type Report, type Statistic } from "./measures.js";
import { TensorReader, type Tensor } from "./tensors.js";

const PROTOS = fileURLToPath(new URL("../../../../protos", import.meta.url));

/** One text, several, token IDs of a row, of several rows, or the API's Input. */
export type Prompts = string | readonly string[] | readonly number[] | readonly (readonly number[])[] | Input;

/** What to capture and what to change. */
export interface Changes {
  /** What to capture: nothing by default. */
  capture?: readonly Place[];
  /** Applied in order. */
  interventions?: readonly Intervention[];
  /** Vectors to be added, by hook. */
  steer?: Readonly<Record<string, Value>>;
}

/** What a run is asked for; the API's own fields, such as `budget`, besides. */
export interface RunOptions extends Changes, Omit<RunRequest, "model" | "input" | "captures" | "interventions" | "logits" | "encoding" | "dataType"> {
  /** "none" by default. */
  logits?: "none" | "last" | "all";
  /** "raw" by default. */
  encoding?: "raw" | "int8Scaled" | "sparse";
  /** "fp32" by default. */
  dataType?: "fp32" | "fp16" | "bf16" | "fp64";
}

/** What a run gave: a tensor for each captured hook, in the order of the forward pass, then logits. */
export class Run<Summary = RunSummary__Output> {
  readonly tensors: Tensor[] = [];
  /** How often each intervention fired, times; of gradients the objectives. */
  summary!: Summary;

  /** @param started The tokens that ran, hashes of interventions. */
  constructor(readonly started: RunStarted__Output) {}

  /** The one tensor of a name. */
  get(name: string): Tensor {
    const found = this.tensors.filter((tensor) => tensor.name === name);
    if (found.length !== 1) throw new RangeError(`'${name}': ${found.length} tensors have this name; there are ${this.tensors.map((tensor) => tensor.name).join(", ")}`);
    return found[0]!;
  }

  get logits(): Tensor {
    return this.get("logits");
  }
}

/** A token, and what the pass that gave it captured. */
export interface GeneratedToken {
  readonly token: SampledToken__Output;
  readonly tensors: ReadonlyMap<string, Tensor>;
}

/** A ModelHost, directly or behind the gateway. What goes wrong is a LabError. */
export class Host {
  readonly client: ModelHostServiceClient;
  readonly #timeout: number | undefined;

  /**
   * @param address "127.0.0.1:5100".
   * @param options timeout: milliseconds that each call may take, by default without limit; protos: the folder of the API's files.
   */
  constructor(address: string, options: { timeout?: number; protos?: string } = {}) {
    const definition = loadSync("lab/model_host/v1/model_host_service.proto", {
      includeDirs: [options.protos ?? PROTOS], longs: Number, enums: String, defaults: true, oneofs: true,
    });
    const { ModelHostService } = (loadPackageDefinition(definition) as unknown as ProtoGrpcType).lab.model_host.v1;
    // Frames are small, but a message that lists the tokens of a large batch need not be.
    this.client = new ModelHostService(address.replace(/^http:\/\//, ""), credentials.createInsecure(), { "grpc.max_receive_message_length": -1 });
    this.#timeout = options.timeout;
  }

  close(): void {
    this.client.close();
  }

  /** Makes a model resident: of the store by its name, or of a folder on the service's machine under a name of your choice. */
  load(name: string, options: Omit<LoadModelRequest, "name"> = {}): Promise<Model__Output> {
    return this.#call((done) => this.client.loadModel({ ...options, name }, this.#options(), done));
  }

  /** Frees a model. */
  async unload(name: string): Promise<void> {
    await this.#call((done) => this.client.unloadModel({ name }, this.#options(), done));
  }

  /** The model's hooks in the order of the forward pass. */
  async hooks(model: string): Promise<Hook__Output[]> {
    return (await this.#call<{ hooks: Hook__Output[] }>((done) => this.client.listHooks({ model }, this.#options(), done))).hooks;
  }

  /** The model's parameters by name. */
  async parameters(model: string): Promise<Map<string, Parameter__Output>> {
    const found = new Map<string, Parameter__Output>();
    for (let pageToken: string | undefined; pageToken !== ""; ) {
      const request = { model, pageSize: 1000, pageToken: pageToken ?? "" };
      const page = await this.#call<ListParametersResponse__Output>((done) => this.client.listParameters(request, this.#options(), done));
      for (const parameter of page.parameters) found.set(parameter.name, parameter);
      pageToken = page.nextPageToken;
    }
    return found;
  }

  /** A text's token IDs. */
  async tokenize(model: string, text: string): Promise<number[]> {
    return (await this.#call<{ ids: number[] }>((done) => this.client.tokenize({ model, text }, this.#options(), done))).ids;
  }

  /** What `run` would send and cost. */
  plan(model: string, prompts: Prompts, options: RunOptions = {}): Promise<PlanResponse__Output> {
    return this.#call((done) => this.client.plan({ run: runRequest(model, prompts, options) }, this.#options(), done));
  }

  /** Runs a batch to its end. */
  run(model: string, prompts: Prompts, options: RunOptions = {}): Promise<Run> {
    return read(this.client.run(runRequest(model, prompts, options), this.#options()));
  }

  /** As `run`, but each tensor as it comes, while the model runs. */
  async *stream(model: string, prompts: Prompts, options: RunOptions = {}): AsyncGenerator<Tensor> {
    const reader = new TensorReader();
    for await (const response of responses(this.client.run(runRequest(model, prompts, options), this.#options()))) {
      const tensor = response.frame && reader.accept(response.frame);
      if (tensor) yield tensor;
    }
    reader.complete();
  }

  /** Runs many batches over one stream. Gives each as it is done: a Run, or why it failed. */
  async *runMany(requests: Iterable<readonly [id: string, run: RunRequest]>): AsyncGenerator<readonly [id: string, result: Run | LabError]> {
    const call = this.client.runMany(this.#options());
    const sending = send(call, tagged(requests));
    const open = new Map<string, { run: Run; reader: TensorReader }>();
    for await (const response of responses<RunManyResponse__Output>(call)) {
      const { id } = response;
      if (response.started) open.set(id, { run: new Run(response.started), reader: new TensorReader() });
      else if (response.error) {
        open.delete(id);
        yield [id, new LabError(response.error.code, response.error.message, response.error.status)];
      } else {
        const { run, reader } = open.get(id)!;
        const tensor = response.frame && reader.accept(response.frame);
        if (tensor) run.tensors.push(tensor);
        if (!response.summary) continue;
        reader.complete();
        run.summary = response.summary;
        open.delete(id);
        yield [id, run];
      }
    }
    await sending;
  }

  /** Continues a prompt, token by token; options are the fields of the API's GenerateRequest. */
  async *generate(model: string, prompt: Prompts, options: Changes & Omit<GenerateRequest, "model" | "prompt" | "captures" | "interventions"> = {}): AsyncGenerator<GeneratedToken> {
    const { capture, interventions, steer, ...fields } = options;
    const request = { ...fields, model, prompt: input(prompt), ...changes({ capture, interventions, steer }) };
    const reader = new TensorReader();
    let tensors = new Map<string, Tensor>();
    for await (const response of responses(this.client.generate(request, this.#options()))) {
      const tensor = response.frame?.frame && reader.accept(response.frame.frame);
      if (tensor) tensors.set(tensor.name, tensor);
      if (!response.token) continue;
      yield { token: response.token, tensors };
      tensors = new Map();
    }
    reader.complete();
  }

  /** Differentiates an objective by targets, such as hooks. Gradients are named "grad/<hook>". */
  gradients(model: string, prompts: Prompts, objective: Objective, targets: readonly (string | GradientTarget)[], options: Changes = {}): Promise<Run<GradientsSummary__Output>> {
    const by = targets.map((target) => (typeof target === "string" ? { activation: selector(target) } : target));
    return read(this.client.gradients({ model, input: input(prompts), objective, targets: by, ...changes(options) }, this.#options()));
  }

  /** What interventions and weight edits change, side by side with the clean run: "delta/<hook>", "norm/<hook>", "delta/logits", "kl". */
  diff(model: string, prompts: Prompts, options: RunOptions, diff: Omit<DiffRequest, "run"> = {}): Promise<Run<DiffSummary__Output>> {
    return read(this.client.diff({ ...diff, run: runRequest(model, prompts, options) }, this.#options()));
  }

  /**
   * Measures activations without sending them.
   *
   * @param over Batches of prompts, each run together, or rows of a stored corpus.
   * @param places Of which activations; statistics are named "<hook>/<statistic>".
   */
  statistics(model: string, over: readonly Prompts[] | Corpus, places: readonly Place[], statistics: readonly Statistic[] = [], options: MeasureOptions = {}): Promise<Measured> {
    const request = measureRequest(model, "artifact" in over ? over : over.map(input), places, statistics, options);
    return readMeasured(responses(this.client.collectStatistics(request, this.#options())), options.progress);
  }

  /** What one call would have measured, of what several did: Measured with states, their bytes, or names of stored ones. */
  async merge(measured: Iterable<Measured | Uint8Array | string>, statistics: readonly Statistic[] = [], options: Report = {}): Promise<Measured> {
    const call = this.client.mergeStatistics(this.#options());
    const sending = send(call, mergeRequests(measured, statistics, options));
    const merged = await readMeasured(responses(call));
    await sending;
    return merged;
  }

  #options(): { deadline?: number } {
    return this.#timeout === undefined ? {} : { deadline: Date.now() + this.#timeout };
  }

  #call<T>(call: (done: (error: unknown, response?: T) => void) => unknown): Promise<T> {
    return new Promise((resolve, reject) => call((error, response) => (error ? reject(LabError.of(error)) : resolve(response!))));
  }
}

/** The API's RunRequest. */
export function runRequest(model: string, prompts: Prompts, options: RunOptions = {}): RunRequest {
  const { capture, interventions, steer, logits = "none", encoding = "raw", dataType = "fp32", ...fields } = options;
  return {
    ...fields,
    ...changes({ capture, interventions, steer }),
    model,
    input: input(prompts),
    logits: ({ none: "LOGITS_MODE_NONE", last: "LOGITS_MODE_LAST", all: "LOGITS_MODE_ALL" } as const)[logits],
    encoding: ({ raw: "ENCODING_RAW", int8Scaled: "ENCODING_INT8_SCALED", sparse: "ENCODING_SPARSE" } as const)[encoding],
    dataType: ({ fp32: "DATA_TYPE_FP32", fp16: "DATA_TYPE_FP16", bf16: "DATA_TYPE_BF16", fp64: "DATA_TYPE_FP64" } as const)[dataType],
  };
}

function changes({ capture = [], interventions = [], steer = {} }: Changes) {
  return { captures: capture.map(selector), interventions: [...interventions, ...Object.entries(steer).map(([hook, vector]) => add(hook, vector))] };
}

function input(prompts: Prompts): Input {
  if (typeof prompts === "string") return { texts: { texts: [prompts] } };
  if (!Array.isArray(prompts)) return prompts as Input;
  if (typeof prompts[0] === "string") return { texts: { texts: prompts as string[] } };
  const rows = (typeof prompts[0] === "number" ? [prompts] : prompts) as number[][];
  return { tokens: { rows: rows.map((ids) => ({ ids })) } };
}

function* tagged(requests: Iterable<readonly [id: string, run: RunRequest]>): Generator<RunManyRequest> {
  for (const [id, run] of requests) yield { id, run };
}

/** Sends all messages of a call. */
async function send<T>(call: ClientDuplexStream<T, unknown>, messages: Iterable<T>): Promise<void> {
  for (const message of messages) {
    // A full buffer means that the service does not take more for now.
    if (!call.write(message) && !call.destroyed) await drained(call);
  }
  call.end();
}

/** Waits until a call takes more messages, or is over. */
function drained(call: NodeJS.EventEmitter): Promise<void> {
  return new Promise((resolve) => {
    const go = () => {
      call.off("drain", go).off("close", go);
      resolve();
    };
    call.on("drain", go).on("close", go);
  });
}

/** A call's responses. Whoever stops reading ends the call. */
async function* responses<T>(call: ClientReadableStream<T>): AsyncGenerator<T> {
  try {
    yield* call as AsyncIterable<T>;
  } catch (error) {
    throw LabError.of(error);
  } finally {
    call.cancel();
  }
}

/** A whole run: what was started, tensors, the summary. */
async function read<Summary>(call: ClientReadableStream<{ started?: RunStarted__Output | null; frame?: TensorFrame__Output | null; summary?: Summary | null }>): Promise<Run<Summary>> {
  let run: Run<Summary> | undefined;
  const reader = new TensorReader();
  for await (const response of responses(call)) {
    if (response.started) run = new Run<Summary>(response.started);
    else if (response.summary) run!.summary = response.summary;
    else {
      const tensor = reader.accept(response.frame!);
      if (tensor) run!.tensors.push(tensor);
    }
  }
  reader.complete();
  return run!;
}
