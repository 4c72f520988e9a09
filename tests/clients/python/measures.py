"""Statistics of activations, measured where the model is: see README.md beside this file."""
from interventions import selector, stored
from lab.model_host.v1 import statistics_pb2 as pb
from tensors import TensorReader

PART_BYTES = 1 << 20


class Measured:
    """What was measured: an array for each hook and statistic, by "<hook>/<statistic>".

    state: bytes for `Host.merge`, if they were asked for. summary: the API's message: tokens, those that were not finite, the artifact.
    """

    def __init__(self, responses, progress=None):
        self.arrays, self.summary, self.state = {}, None, b""
        reader, state = TensorReader(), []
        for response in responses:
            kind = response.WhichOneof("response")
            if kind == "frame" and (tensor := reader.accept(response.frame)):
                self.arrays[tensor[0]] = tensor[1]
            elif kind == "state":
                state.append(response.state)
            elif kind == "summary":
                self.summary = response.summary
            elif kind == "progress" and progress:
                progress(response.progress)
        reader.complete()
        self.state = b"".join(state)

    def __getitem__(self, name):
        return self.arrays[name]

    def stored_mean(self, hook):
        """The mean as a value for interventions, which the service reads from its own store."""
        return stored(self.summary.artifact_digest, key=f"{hook}/mean")


def corpus(artifact, split="train", row_tokens=0, first_row=0, row_count=0):
    """Rows of a stored corpus. By default all of them, each as long as the model's context."""
    return pb.CorpusInput(artifact=artifact, split=split, row_tokens=row_tokens, first_row=first_row, row_count=row_count)


def statistics_request(model, batches, hooks, statistics, store, options):
    """The API's CollectStatisticsRequest."""
    request = pb.CollectStatisticsRequest(model=model, selectors=map(selector, hooks), statistics=map(_statistic, statistics), store=_store(store), **options)
    if isinstance(batches, pb.CorpusInput):
        request.corpus.CopyFrom(batches)
    else:
        request.inputs.extend(batches)
    return request


def merge_requests(measured, statistics, quantiles, send_state, store):
    """The messages of MergeStatistics: states as bytes or Measured, stored statistics as names or digests."""
    yield pb.MergeStatisticsRequest(options=pb.MergeStatisticsOptions(
        statistics=map(_statistic, statistics), quantiles=quantiles, send_state=send_state, store=_store(store)))
    index = 0
    for one in measured:
        if isinstance(one, str):
            yield pb.MergeStatisticsRequest(artifact=one)
            continue
        state = one if isinstance(one, bytes) else one.state
        for start in range(0, len(state), PART_BYTES):
            yield pb.MergeStatisticsRequest(state=pb.StatePart(index=index, data=state[start:start + PART_BYTES]))
        index += 1


def _statistic(name):
    return pb.Statistic.Value(f"STATISTIC_{name.upper()}")


def _store(name):
    return None if name is None else pb.StoreStatistics(name=name)
