"""ModelHost from Python: see README.md beside this file."""
from contextlib import contextmanager

import grpc
import numpy as np
from errors import LabError
from interventions import add, by, selector
from lab.model_host.v1 import budget_pb2 as budgets
from lab.model_host.v1 import diff_pb2 as diffs
from lab.model_host.v1 import generate_pb2 as generation
from lab.model_host.v1 import gradient_pb2 as gradients
from lab.model_host.v1 import input_pb2 as inputs
from lab.model_host.v1 import model_host_service_pb2_grpc as rpc
from lab.model_host.v1 import model_pb2 as models
from lab.model_host.v1 import run_pb2 as runs
from lab.model_host.v1 import text_pb2 as text
from lab.tensor.v1 import tensor_pb2 as tensors
from measures import Measured, merge_requests, statistics_request
from tensors import TensorReader


class Run:
    """What a run gave: an array for each captured hook, by its name, and logits.

    started and summary are the API's messages: the tokens that ran, hashes, how often each intervention fired, times.
    """

    def __init__(self, started):
        self.started, self.summary = started, None
        self.tensors = []

    def __getitem__(self, name):
        found = [array for other, array in self.tensors if other == name]
        if len(found) != 1:
            raise KeyError(f"{name!r}: {len(found)} tensors have this name; there are {self.names}")
        return found[0]

    @property
    def names(self):
        """The names of all tensors, in the order of the forward pass."""
        return [name for name, _ in self.tensors]

    @property
    def logits(self):
        return self["logits"]

    @property
    def rows(self):
        """The tokens that ran."""
        return [list(row.ids) for row in self.started.rows]


class Host:
    """A ModelHost, directly or behind the gateway.

    address: "127.0.0.1:5100". timeout: seconds that each call may take; None for no limit. What goes wrong raises LabError.
    """

    def __init__(self, address, timeout=None):
        # Frames are small, but a message that lists the tokens of a large batch need not be. Reading ahead, streams do not stop for
        # each window of the transport.
        options = [("grpc.max_receive_message_length", -1), ("grpc.http2.lookahead_bytes", 8 << 20)]
        self.channel = grpc.insecure_channel(address.removeprefix("http://"), options)
        self.stub = rpc.ModelHostServiceStub(self.channel)
        self._timeout = timeout

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.channel.close()

    def load(self, name, folder="", dtype=None, pinned=None):
        """Makes a model resident: of the store by its name, or of a folder on the service's machine under a name of your choice."""
        return self._call(self.stub.LoadModel, models.LoadModelRequest(name=name, folder=folder, data_type=_dtype(dtype), pinned=pinned))

    def unload(self, name):
        """Frees a model."""
        self._call(self.stub.UnloadModel, models.UnloadModelRequest(name=name))

    def hooks(self, model):
        """The model's hooks in the order of the forward pass."""
        return list(self._call(self.stub.ListHooks, models.ListHooksRequest(model=model)).hooks)

    def parameters(self, model):
        """The model's parameters by name."""
        found, token = {}, None
        while token != "":
            page = self._call(self.stub.ListParameters, models.ListParametersRequest(model=model, page_size=1000, page_token=token or ""))
            found |= {parameter.name: parameter for parameter in page.parameters}
            token = page.next_page_token
        return found

    def tokenize(self, model, string):
        """A text's token IDs."""
        return list(self._call(self.stub.Tokenize, text.TokenizeRequest(model=model, text=string)).ids)

    def plan(self, model, prompts, **options):
        """What `run` would send and cost."""
        return self._call(self.stub.Plan, runs.PlanRequest(run=run_request(model, prompts, **options)))

    def run(self, model, prompts, **options):
        """Runs a batch to its end: see `run_request`. A Run."""
        with _stream(self.stub.Run(run_request(model, prompts, **options), timeout=self._timeout)) as responses:
            return _read(responses)

    def stream(self, model, prompts, **options):
        """As `run`, but yields (name, array) as they come, while the model runs."""
        reader = TensorReader()
        with _stream(self.stub.Run(run_request(model, prompts, **options), timeout=self._timeout)) as responses:
            for response in responses:
                if response.WhichOneof("response") == "frame" and (tensor := reader.accept(response.frame)):
                    yield tensor
            reader.complete()

    def run_many(self, requests):
        """Runs many batches over one stream. requests: pairs of an ID and a `run_request`. Yields (ID, Run or LabError) as each is done."""
        open_runs = {}
        messages = (runs.RunManyRequest(id=name, run=run) for name, run in requests)
        with _stream(self.stub.RunMany(messages, timeout=self._timeout)) as responses:
            for response in responses:
                kind = response.WhichOneof("response")
                if kind == "error":
                    open_runs.pop(response.id, None)
                    yield response.id, LabError(_CODES[response.error.code], response.error.message, response.error.status)
                elif kind == "started":
                    open_runs[response.id] = Run(response.started), TensorReader()
                elif kind == "frame":
                    run, reader = open_runs[response.id]
                    if tensor := reader.accept(response.frame):
                        run.tensors.append(tensor)
                else:
                    run, reader = open_runs.pop(response.id)
                    reader.complete()
                    run.summary = response.summary
                    yield response.id, run

    def generate(self, model, prompt, *, max_new_tokens=16, capture=(), interventions=(), steer=None, **options):
        """Continues a prompt. Yields (token, arrays): a SampledToken, and what its pass captured by name.

        options: temperature, top_k, top_p, seed, stop_tokens, stop_texts, ignore_eos, top_logprobs and the other fields of the API's
        GenerateRequest.
        """
        request = generation.GenerateRequest(
            model=model, prompt=_input(prompt), max_new_tokens=max_new_tokens, captures=map(selector, capture),
            interventions=[*interventions, *_steering(steer)], **options)
        reader, arrays = TensorReader(), {}
        with _stream(self.stub.Generate(request, timeout=self._timeout)) as responses:
            for response in responses:
                kind = response.WhichOneof("response")
                if kind == "frame" and (tensor := reader.accept(response.frame.frame)):
                    arrays[tensor[0]] = tensor[1]
                elif kind == "token":
                    yield response.token, arrays
                    arrays = {}

    def gradients(self, model, prompts, objective, targets, *, capture=(), interventions=(), steer=None, **options):
        """Differentiates an objective by targets, such as hooks. A Run: captures by name, gradients by "grad/<hook>"; `summary.objectives`."""
        request = gradients.GradientsRequest(
            model=model, input=_input(prompts), objective=objective, targets=map(by, targets), captures=map(selector, capture),
            interventions=[*interventions, *_steering(steer)], **options)
        with _stream(self.stub.Gradients(request, timeout=self._timeout)) as responses:
            return _read(responses)

    def diff(self, model, prompts, *, divergence="none", deltas="deltas", min_norm=0, **options):
        """What interventions and weight edits change, side by side with the clean run. A Run: "delta/<hook>", "delta/logits", "kl".

        divergence: "none", "final" or "logit_lens". deltas: "deltas", "norms" or "deltas_and_norms". options: as in `run_request`.
        """
        request = diffs.DiffRequest(
            run=run_request(model, prompts, **options), divergence=_value(diffs.DivergenceMode, "DIVERGENCE_MODE", divergence),
            deltas=_value(diffs.DeltaMode, "DELTA_MODE", deltas), min_norm=min_norm)
        with _stream(self.stub.Diff(request, timeout=self._timeout)) as responses:
            return _read(responses)

    def statistics(self, model, batches, hooks, statistics=(), *, store=None, progress=None, **options):
        """Measures activations without sending them: a Measured.

        batches: lists of prompts, each run together, or a `measures.corpus`. statistics: "mean", "variance", "norm", "quantiles",
        "top_tokens", "bottom_tokens", "range", "nonzero" or "covariance"; by default the first three. store: None, or the name of the
        artifact to be made, which may be empty. progress: gets the API's messages. options: quantiles, top_k, skip_first_token,
        skip_special_tokens, send_state, interventions, weight_edits and the other fields.
        """
        batches = batches if not isinstance(batches, (list, tuple)) else [_input(batch) for batch in batches]
        request = statistics_request(model, batches, hooks, statistics, store, options)
        with _stream(self.stub.CollectStatistics(request, timeout=self._timeout)) as responses:
            return Measured(responses, progress)

    def merge(self, measured, statistics=(), *, quantiles=(), send_state=False, store=None):
        """What one call would have measured, of what several did: Measured with states, their bytes, or names of stored ones."""
        with _stream(self.stub.MergeStatistics(merge_requests(measured, statistics, quantiles, send_state, store), timeout=self._timeout)) as responses:
            return Measured(responses)

    def _call(self, method, request):
        with _errors():
            return method(request, timeout=self._timeout)


def run_request(model, prompts, *, capture=(), interventions=(), steer=None, logits="none", encoding="raw", dtype=None, padding="right", bos=None, **options):
    """The API's RunRequest.

    prompts: one text, several, token IDs of a row, of several rows or a 2-D array. capture: places (see interventions.py).
    steer: {place: vector} for vectors to be added. logits: "none", "last" or "all". encoding: "raw", "int8_scaled" or "sparse".
    dtype: "fp32", "fp16", "bf16" or "fp64". padding: "right" or "left". bos: None, "tokenizer", "always" or "never".
    options: the other fields, such as weight_edits, budget and priority.
    """
    return runs.RunRequest(
        model=model,
        input=_input(prompts, padding, bos),
        captures=map(selector, capture),
        interventions=[*interventions, *_steering(steer)],
        logits=_value(runs.LogitsMode, "LOGITS_MODE", logits),
        encoding=_value(tensors.Encoding, "ENCODING", encoding),
        data_type=_dtype(dtype),
        **options)


def budget(max_bytes=0, max_tokens=0, max_time_ms=0):
    """What a request may cost at most; 0 for the service's own limit."""
    return budgets.Budget(max_bytes=max_bytes, max_tokens=max_tokens, max_time_ms=max_time_ms)


def _input(prompts, padding="right", bos=None):
    if isinstance(prompts, inputs.Input):
        return prompts
    settings = {"padding_side": _value(inputs.PaddingSide, "PADDING_SIDE", padding), "bos": _value(inputs.BosPolicy, "BOS_POLICY", bos)}
    if isinstance(prompts, str):
        prompts = [prompts]
    if len(prompts) and isinstance(prompts[0], str):
        return inputs.Input(texts=inputs.Texts(texts=prompts), **settings)
    rows = [prompts] if len(prompts) and np.ndim(prompts[0]) == 0 else prompts
    return inputs.Input(tokens=inputs.TokenRows(rows=[inputs.TokenRow(ids=row) for row in rows]), **settings)


def _read(responses):
    """A whole run: what was started, tensors, the summary."""
    run, reader = Run(next(responses).started), TensorReader()
    for response in responses:
        if response.WhichOneof("response") == "summary":
            run.summary = response.summary
        elif tensor := reader.accept(response.frame):
            run.tensors.append(tensor)
    reader.complete()
    return run


def _steering(steer):
    return [add(place, np.asarray(vector)) for place, vector in (steer or {}).items()]


def _dtype(name):
    return _value(tensors.DataType, "DATA_TYPE", name)


def _value(enum, prefix, name):
    return enum.Value(f"{prefix}_{(name or 'unspecified').upper()}")


@contextmanager
def _errors():
    try:
        yield
    except grpc.RpcError as error:
        raise LabError.of(error) from None


@contextmanager
def _stream(call):
    """A call's responses. Whoever stops reading ends the call."""
    with _errors():
        try:
            yield call
        finally:
            call.cancel()


_CODES = {code.value[0]: code.name for code in grpc.StatusCode}
