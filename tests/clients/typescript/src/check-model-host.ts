/**
 * Checks a ModelHost from outside: see README.md in the folder above.
 *
 *     node dist/check-model-host.js <address> <checks> <golden folder>...
 *
 * Checks are names with commas between them, or "all". Each golden folder has a checkpoint and expected.safetensors, what a reference implementation computed with it.
 */
import { strict as assert } from "node:assert";
import { basename, join, resolve } from "node:path";
import { difference, near, plus, vector } from "./comparing.js";
import { crc32c } from "./crc32c.js";
import { LabError } from "./errors.js";
import type { RunResponse__Output } from "./generated/lab/model_host/v1/RunResponse.js";
import type { TensorFrame__Output } from "./generated/lab/tensor/v1/TensorFrame.js";
import { add, at, editWeights, logitDifference, mean, setTo, type Value } from "./interventions.js";
import { Host, Run, runRequest, type RunOptions } from "./modelhost.js";
import { CorruptTensor, readSafetensors, TensorReader, type Tensor } from "./tensors.js";

const PROMPTS = 1000;
const HOOK = "blocks.0.hook_resid_post";
const EVERY_RESID_POST = "blocks.*.hook_resid_post";

/** What is checked: a resident model, and rows of tokens for it. */
interface Subject {
  readonly host: Host;
  readonly folder: string;
  readonly model: string;
  readonly width: number;
  readonly expected: ReadonlyMap<string, Tensor>;
  readonly tokens: readonly (readonly number[])[];
}

/** Logits and every recorded activation are those of the reference implementation. */
async function checkGolden({ host, model, expected, tokens }: Subject): Promise<string> {
  const sites = [...expected.keys()].filter((name) => name.startsWith("act/")).map((name) => name.slice("act/".length));
  const names = new Map((await host.hooks(model)).flatMap((hook) => [hook.name, ...hook.aliases].map((name) => [name, hook.name] as const)));
  const run = await host.run(model, tokens, { capture: sites, logits: "all" });
  assert.deepEqual(run.tensors.map((tensor) => tensor.name), run.started.tensors.map((tensor) => tensor.name));
  const worst = Math.max(...sites.map((site) => near(run.get(names.get(site)!).data, expected.get(`act/${site}`)!.data)));
  const logits = near(run.logits.data, expected.get("logits")!.data);
  return `${sites.length} activations within ${worst.toExponential(1)}, logits within ${logits.toExponential(1)}`;
}

/** A steered run is the one that is told what steering makes of the activations, and other runs are as they were. */
async function checkSteering({ host, model, tokens, width }: Subject): Promise<string> {
  const direction = vector(width, 1);
  const options: RunOptions = { capture: [HOOK], logits: "all" };
  const clean = await host.run(model, tokens, options);
  const before = clean.get(HOOK);
  const steered = await host.run(model, tokens, { ...options, steer: { [HOOK]: direction } });
  near(steered.get(HOOK).data, plus(before, direction));
  const patched = await host.run(model, tokens, { ...options, interventions: [setTo(HOOK, { ...before, data: plus(before, direction) })] });
  near(steered.logits.data, patched.logits.data);
  const moved = difference(steered.logits.data, clean.logits.data);
  assert.ok(moved > 1e-2, `logits moved by ${moved} only`);
  assert.deepEqual(steered.summary.fireCounts, [1]);
  assert.equal(steered.started.interventionHashes[0]!.length, 64);

  const last = await host.run(model, tokens, { capture: [HOOK], interventions: [add(at(HOOK, { positions: [-1] }), direction, -2)] });
  const length = tokens[0]!.length;
  near(last.get(HOOK).data, plus(before, direction, (row) => (row % length === length - 1 ? -2 : 0)));

  const unit = await host.run(model, tokens, { capture: [HOOK], interventions: [add(HOOK, direction, 0.5, "residualNorm")] });
  const norm = (values: ArrayLike<number>) => Math.hypot(...Array.from(values));
  const rows = before.data as Float32Array;
  near(unit.get(HOOK).data, plus(before, direction, (row) => (0.5 * norm(rows.subarray(row * width, (row + 1) * width))) / norm(direction)));

  const again = await host.run(model, tokens, options);
  assert.deepEqual(again.logits.data, clean.logits.data);
  return `logits move by up to ${moved.toFixed(2)}`;
}

/** Frames that are lost or changed on the way are found. */
async function checkFrames({ host, model, tokens }: Subject): Promise<string> {
  assert.equal(crc32c(Buffer.from("123456789")), 0xe3069283);
  const frames: TensorFrame__Output[] = [];
  for await (const { frame } of host.client.run(runRequest(model, tokens, { capture: [HOOK], logits: "last" })) as AsyncIterable<RunResponse__Output>) {
    if (frame) frames.push(frame);
  }
  const [header, chunk] = frames, changed = { ...chunk!, chunk: { ...chunk!.chunk!, data: Buffer.from(chunk!.chunk!.data) } };
  changed.chunk.data[0]! ^= 1;
  for (const spoilt of [frames.slice(1), frames.slice(0, -1), [header!, ...frames.slice(2)], [header!, changed, ...frames.slice(2)]]) {
    const reader = new TensorReader();
    assert.throws(() => {
      for (const frame of spoilt) reader.accept(frame);
      reader.complete();
    }, CorruptTensor);
  }
  return `${frames.length} frames`;
}

/** Other types and encodings are the raw values, as exactly as they say. */
async function checkEncodings({ host, model, tokens, width }: Subject): Promise<string> {
  const get = async (options: RunOptions) => (await host.run(model, tokens, { ...options, capture: [HOOK] })).get(HOOK).data as Float32Array;
  const raw = await get({});
  assert.deepEqual(await get({ encoding: "sparse" }), raw);
  for (const [dataType, bits] of [["fp16", 11], ["bf16", 8]] as const) {
    const rounded = await get({ dataType });
    // Half a unit of the last bit; below 2^-14 FP16 has no more bits.
    assert.ok(rounded.every((x, i) => Math.abs(x - raw[i]!) <= Math.max(Math.abs(raw[i]!) * 2 ** -bits, 2 ** -25)), dataType);
    assert.notDeepEqual(rounded, raw);
  }
  const int8 = await get({ encoding: "int8Scaled" });
  const largest = (row: number) => Math.max(...raw.subarray(row * width, (row + 1) * width).map(Math.abs));
  assert.ok(int8.every((x, i) => Math.abs(x - raw[i]!) <= (largest(Math.floor(i / width)) / 127) * 0.501));
  return "sparse, fp16, bf16, int8";
}

/** Rows of a batch are what they are alone, whichever side their padding is on. */
async function checkPadding({ host, model, tokens, width }: Subject): Promise<string> {
  const rows = [tokens[0]!, tokens[1]!.slice(0, 5)], longest = rows[0]!.length;
  const get = async (paddingSide: "PADDING_SIDE_RIGHT" | "PADDING_SIDE_LEFT") =>
    (await host.run(model, { tokens: { rows: rows.map((ids) => ({ ids: [...ids] })) }, paddingSide }, { capture: [HOOK] })).get(HOOK).data as Float32Array;
  const right = await get("PADDING_SIDE_RIGHT"), left = await get("PADDING_SIDE_LEFT");
  for (const [row, ids] of rows.entries()) {
    const alone = (await host.run(model, ids, { capture: [HOOK] })).get(HOOK).data;
    near(right.subarray(row * longest * width).subarray(0, ids.length * width), alone);
    near(left.subarray(((row + 1) * longest - ids.length) * width).subarray(0, ids.length * width), alone);
  }
  const padding = (longest - 5) * width;
  assert.ok(right.subarray(-padding).every((x) => x === 0) && left.subarray(longest * width).subarray(0, padding).every((x) => x === 0));
  return `rows of ${longest} and 5 tokens`;
}

/** A weight edit adds its product to what the matrix gives, and Diff says what changes. */
async function checkEdits({ host, model, tokens, width }: Subject): Promise<string> {
  const parameter = "lm_head.weight";
  const vocab = (await host.parameters(model)).get(parameter)!.shape[0]!;
  const [b, a, bias, direction] = [vector(vocab * 2, 5), vector(2 * width, 6), vector(vocab, 7), vector(width, 8)];
  const edit = editWeights(parameter, {
    lowRank: [{ name: "b", shape: [vocab, 2], data: b }, { name: "a", shape: [2, width], data: a }], bias, coefficient: 0.5,
  });
  const clean = await host.run(model, tokens, { capture: ["unembed.hook_in"], logits: "all" });
  const read = clean.get("unembed.hook_in").data;
  const wanted = Float64Array.from(clean.logits.data as ArrayLike<number>);
  for (let token = 0; token < wanted.length / vocab; token++) {
    const inner = [0, 1].map((rank) => a.subarray(rank * width, (rank + 1) * width).reduce((sum, x, i) => sum + x * read[token * width + i]!, 0));
    for (let i = 0; i < vocab; i++) wanted[token * vocab + i]! += 0.5 * (b[2 * i]! * inner[0]! + b[2 * i + 1]! * inner[1]! + bias[i]!);
  }
  const edited = await host.run(model, tokens, { logits: "all", weightEdits: [edit] });
  near(edited.logits.data, wanted);
  assert.deepEqual(edited.summary.weightEditFireCounts, [tokens.flat().length]);

  const both: RunOptions = { logits: "all", weightEdits: [edit], steer: { [HOOK]: direction } };
  const changed = await host.run(model, tokens, both);
  const diff = await host.diff(model, tokens, { ...both, capture: [HOOK] }, { divergence: "DIVERGENCE_MODE_FINAL", deltas: "DELTA_MODE_DELTAS_AND_NORMS" });
  near(diff.get(`delta/${HOOK}`).data, Float32Array.from({ length: tokens.flat().length * width }, (_, i) => direction[i % width]!));
  near(diff.get(`norm/${HOOK}`).data, tokens.flat().map(() => Math.hypot(...direction)));
  near(diff.get("delta/logits").data, Float64Array.from(changed.logits.data as ArrayLike<number>, (x, i) => x - clean.logits.data[i]!));
  assert.ok(diff.get("kl").data.every((x: number) => x >= 0) && diff.summary.meanKl.every((x) => x > 0));
  return `mean divergence ${diff.summary.meanKl.map((x) => x.toFixed(3)).join(" ")}`;
}

/** The residual stream of many prompts of different lengths, over one stream. */
async function checkMany({ host, model, tokens }: Subject): Promise<string> {
  const all = tokens.flat();
  const prompts = Array.from({ length: PROMPTS }, (_, i) => Array.from({ length: 1 + (i % tokens[0]!.length) }, (_, j) => all[(7 * i + 3 * j) % all.length]!));
  const names = (await host.run(model, prompts[0]!, { capture: [EVERY_RESID_POST] })).tensors.map((tensor) => tensor.name);
  const runs = new Map<string, Run>();
  for await (const [id, run] of host.runMany(prompts.map((prompt, i) => [`${i}`, runRequest(model, prompt, { capture: [EVERY_RESID_POST] })] as const))) {
    assert.ok(run instanceof Run, `${id}: ${run}`);
    assert.ok(!runs.has(id), id);
    runs.set(id, run);
  }
  assert.equal(runs.size, PROMPTS);
  let bytes = 0;
  for (const [i, prompt] of prompts.entries()) {
    const run = runs.get(`${i}`)!;
    assert.deepEqual(run.started.rows.map((row) => row.ids), [prompt]);
    assert.deepEqual(run.tensors.map((tensor) => tensor.name), names);
    for (const { shape, data } of run.tensors) {
      assert.deepEqual(shape.slice(0, 2), [1, prompt.length]);
      assert.ok((data as Float32Array).every(Number.isFinite), `prompt ${i}`);
      bytes += data.byteLength;
    }
  }
  for (let i = 0; i < PROMPTS; i += 97) {
    for await (const tensor of host.stream(model, prompts[i]!, { capture: [EVERY_RESID_POST] })) near(runs.get(`${i}`)!.get(tensor.name).data, tensor.data);
  }
  return `${PROMPTS} prompts, ${bytes} bytes`;
}

/** Tokens that are generated under an intervention are those that steered runs over ever longer prompts predict. */
async function checkGeneration({ host, model, tokens, width }: Subject): Promise<string> {
  const steer = { [HOOK]: vector(width, 3).map((x) => 2 * x) };
  const row = tokens[0]!.slice(0, 4);
  for await (const { token, tensors } of host.generate(model, [...row], { maxNewTokens: 5, capture: [HOOK], steer, ignoreEos: true })) {
    const run = await host.run(model, row, { capture: [HOOK], steer, logits: "last" });
    const logits = Array.from(run.logits.data);
    assert.equal(token.id, logits.indexOf(Math.max(...logits)), `step ${token.step}`);
    assert.equal(token.step, row.length - 4);
    const logprob = logits[token.id]! - Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit), 0));
    assert.ok(Math.abs(token.logprob - logprob) <= 1e-4, `step ${token.step}`);
    near(tensors.get(HOOK)!.data, Array.from(run.get(HOOK).data).slice(token.step === 0 ? 0 : -width));
    row.push(token.id);
  }
  assert.equal(row.length, 9);
  return `tokens ${row.slice(4).join(" ")}`;
}

/** Gradients are what small interventions do, in double precision. */
async function checkGradients({ host, folder, model, tokens, width }: Subject): Promise<string> {
  const precise = `${model}-fp64`;
  await host.load(precise, { folder, dataType: "DATA_TYPE_FP64" });
  const [a, b] = [1, 2];
  const direction = vector(width, 4);
  const value = async (step: number) => {
    const { data, shape } = (await host.run(precise, tokens, { logits: "last", dataType: "fp64", interventions: [add(HOOK, direction, step)] })).logits;
    return tokens.reduce((sum, _, row) => sum + (data[row * shape[1]! + a] as number) - (data[row * shape[1]! + b] as number), 0);
  };
  const zero = [add(HOOK, new Float32Array(width))];
  const run = await host.gradients(precise, tokens, logitDifference(a, b), [HOOK, { operand: 0 }], { interventions: zero });
  const gradient = run.get(`grad/${HOOK}`).data;
  const byOperand = new Float64Array(width);
  for (let i = 0; i < gradient.length; i++) byOperand[i % width]! += gradient[i]!;
  near(run.get("grad/interventions[0]").data, byOperand, 1e-4);
  const slope = byOperand.reduce((sum, x, i) => sum + x * direction[i]!, 0);
  // Of a power of two every step is exact.
  const step = 2 ** -10;
  const measured = ((await value(step)) - (await value(-step))) / (2 * step);
  assert.ok(Math.abs(slope - measured) <= 1e-4 * Math.max(1, Math.abs(measured)), `${slope} instead of ${measured}`);
  near([run.summary.objectives.reduce((sum, x) => sum + x, 0)], [await value(0)], 1e-9);
  await host.unload(precise);
  return `slope ${slope.toFixed(6)}, measured ${measured.toFixed(6)}`;
}

/** What is measured is what the captured activations give, in one call or merged; the stored mean ablates as the batch's own does. */
async function checkStatistics({ host, model, tokens, width }: Subject): Promise<string> {
  const names = ["mean", "variance", "norm", "quantiles", "topTokens", "range"] as const;
  const captured = (await host.run(model, tokens, { capture: [HOOK] })).get(HOOK).data as Float32Array;
  const count = captured.length / width;
  const columns = Array.from({ length: width }, (_, c) => Array.from({ length: count }, (_, i) => captured[i * width + c]!));
  const means = columns.map((column) => column.reduce((sum, x) => sum + x, 0) / count);
  let rows = 0;
  const whole = await host.statistics(model, [tokens], [HOOK], names, { quantiles: [0.5], topK: 3, store: "", progress: (told) => (rows = told.rows) });
  assert.equal(rows, tokens.length);
  assert.equal(whole.summary.hooks[0]!.tokens, count);
  near(whole.get(`${HOOK}/mean`).data as Float64Array, means);
  near(whole.get(`${HOOK}/variance`).data as Float64Array, columns.map((column, c) => column.reduce((sum, x) => sum + (x - means[c]!) ** 2, 0) / count));
  near(whole.get(`${HOOK}/max`).data as Float32Array, columns.map((column) => Math.max(...column)));
  const norms = Array.from({ length: count }, (_, i) => Math.hypot(...captured.subarray(i * width, (i + 1) * width)));
  near([Number(whole.get(`${HOOK}/norm`).data[0])], [norms.reduce((sum, x) => sum + x, 0) / count]);
  const medians = columns.map((column) => [...column].sort((a, b) => a - b)[Math.floor((count - 1) / 2)]!);
  assert.ok(medians.every((median, c) => Math.abs(Number(whole.get(`${HOOK}/quantiles`).data[c]) - median) <= 0.01 * Math.abs(median) + 1e-5));
  const [row, position, token] = Array.from(whole.get(`${HOOK}/top_tokens`).data.slice(0, 3), Number) as [number, number, number];
  assert.equal(tokens[row]![position], token);
  near([captured[(row * tokens[0]!.length + position) * width]!], [Math.max(...columns[0]!)]);

  const shards = [];
  for (const one of tokens) shards.push(await host.statistics(model, [[one]], [HOOK], names, { topK: 3, sendState: true }));
  const merged = await host.merge(shards, [], { quantiles: [0.5] });
  for (const name of ["mean", "variance", "norm", "max", "top_values"]) near(numbers(merged.get(`${HOOK}/${name}`)), numbers(whole.get(`${HOOK}/${name}`)));

  const ablated = async (value?: Value) => (await host.run(model, tokens, { logits: "all", interventions: [mean(HOOK, value)] })).logits.data as Float32Array;
  return `${count} tokens; logits of mean ablation within ${near(await ablated(whole.storedMean(HOOK)), await ablated(), 1e-4).toExponential(1)}`;
}

const numbers = (tensor: Tensor) => Array.from(tensor.data as ArrayLike<number>);

/** Bad requests fail with a status that names the field. */
async function checkErrors({ host, model, tokens, width }: Subject): Promise<string> {
  const cases: [code: string, field: string | undefined, call: () => Promise<unknown>][] = [
    ["INVALID_ARGUMENT", "captures[1]", () => host.run(model, tokens, { capture: [HOOK, "blocks.*.hook_nothing"] })],
    ["INVALID_ARGUMENT", "input.tokens.rows[1].ids", () => host.run(model, [[1], [1, 1 << 20]])],
    ["INVALID_ARGUMENT", "interventions[0].add.value", () => host.run(model, tokens, { steer: { [HOOK]: vector(width + 1, 5) } })],
    ["INVALID_ARGUMENT", "prompt", () => host.generate(model, { tokens: { rows: [] } }).next()],
    ["NOT_FOUND", undefined, () => host.run("models/nothing", tokens)],
    ["RESOURCE_EXHAUSTED", undefined, () => host.run(model, tokens, { logits: "all", budget: { maxBytes: 8 } })],
  ];
  for (const [code, field, call] of cases) {
    await assert.rejects(call, (error) => {
      assert.ok(error instanceof LabError && error.reason !== "", `${error}`);
      assert.equal(error.code, code, error.message);
      assert.ok(field === undefined || [...error.fields.keys()].some((path) => path.startsWith(field)), `${[...error.fields.keys()]} instead of ${field}`);
      return true;
    });
  }
  // A request that fails does not end the stream.
  const results = new Map<string, Run | LabError>();
  const hooks = { good: HOOK, bad: "blocks.*.hook_nothing", other: HOOK };
  for await (const [id, result] of host.runMany(Object.entries(hooks).map(([id, hook]) => [id, runRequest(model, tokens, { capture: [hook] })] as const))) results.set(id, result);
  for (const id of ["good", "other"]) assert.equal((results.get(id) as Run).get(HOOK).name, HOOK);
  assert.ok((results.get("bad") as LabError).fields.has("captures[0].hook"));
  return `${cases.length} requests`;
}

const CHECKS: Record<string, (subject: Subject) => Promise<string>> = {
  golden: checkGolden, steering: checkSteering, frames: checkFrames, encodings: checkEncodings, padding: checkPadding, edits: checkEdits, many: checkMany,
  generation: checkGeneration, gradients: checkGradients, statistics: checkStatistics, errors: checkErrors,
};

async function main(address: string, wanted: string, folders: readonly string[]): Promise<void> {
  const host = new Host(address, { timeout: 300_000 });
  for (const folder of folders.map((path) => resolve(path))) {
    const expected = readSafetensors(join(folder, "expected.safetensors"));
    const { shape, data } = expected.get("tokens")!;
    const tokens = Array.from({ length: shape[0]! }, (_, row) => Array.from(data.subarray(row * shape[1]!, (row + 1) * shape[1]!), Number));
    const model = `golden/${basename(folder)}`;
    const { dModel: width } = await host.load(model, { folder });
    for (const name of wanted === "all" ? Object.keys(CHECKS) : wanted.split(",")) {
      const check = CHECKS[name];
      assert.ok(check, `there is no check '${name}'`);
      console.log(`${basename(folder)}: ${name}: ${await check({ host, folder, model, width, expected, tokens })}`);
    }
  }
  host.close();
}

await main(process.argv[2]!, process.argv[3]!, process.argv.slice(4));
