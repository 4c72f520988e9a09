"""Tensors of the API as numpy arrays: those within messages, streamed ones, and those of .safetensors files."""
import json

import numpy as np
from crc32c import crc32c
from lab.tensor.v1 import tensor_pb2 as pb

MAX_CHUNK_BYTES = 1 << 20

# numpy has no bfloat16: it becomes float32, which holds every value of it.
_DTYPES = {
    pb.DATA_TYPE_FP32: np.dtype("<f4"),
    pb.DATA_TYPE_FP16: np.dtype("<f2"),
    pb.DATA_TYPE_BF16: np.dtype("<u2"),
    pb.DATA_TYPE_FP64: np.dtype("<f8"),
    pb.DATA_TYPE_INT64: np.dtype("<i8"),
    pb.DATA_TYPE_INT32: np.dtype("<i4"),
}
_SAFETENSORS = {
    "F32": pb.DATA_TYPE_FP32,
    "F16": pb.DATA_TYPE_FP16,
    "BF16": pb.DATA_TYPE_BF16,
    "F64": pb.DATA_TYPE_FP64,
    "I64": pb.DATA_TYPE_INT64,
    "I32": pb.DATA_TYPE_INT32,
}


class CorruptTensor(Exception):
    """Bytes that are not what was announced. Names the tensor, and of a stream the chunk."""


def to_tensor(array, name=""):
    """An array as a Tensor message: float64 and other floats as FP32, integers as INT64."""
    array = np.asarray(array)
    is_float = np.issubdtype(array.dtype, np.floating)
    data = np.ascontiguousarray(array, "<f4" if is_float else "<i8")
    return pb.Tensor(name=name, data_type=pb.DATA_TYPE_FP32 if is_float else pb.DATA_TYPE_INT64, shape=array.shape, data=data.tobytes())


class TensorReader:
    """Puts the tensors of a stream of frames together and trusts none of them: order, lengths and checksums are checked."""

    def __init__(self):
        self._header = None
        self._chunks = []
        self._received = 0

    def accept(self, frame):
        """Takes the next frame. The (name, array) that it completes, or None."""
        if frame.WhichOneof("frame") == "header":
            if self._header is not None:
                raise self._error(f"the header of {frame.header.name!r} came before its chunk {len(self._chunks)}")
            self._header, self._chunks, self._received = frame.header, [], 0
        else:
            self._append(frame.chunk)
        if len(self._chunks) < self._header.chunk_count:
            return None
        header, self._header = self._header, None
        data = b"".join(self._chunks)
        if len(data) != header.byte_count:
            raise CorruptTensor(f"{header.name}: {len(data)} bytes instead of {header.byte_count}")
        return header.name, decode(header.name, data, header.data_type, tuple(header.shape), header.encoding)

    def complete(self):
        """Says that the stream has ended."""
        if self._header is not None:
            raise self._error(f"the stream ended before chunk {len(self._chunks)} of {self._header.chunk_count}")

    def _append(self, chunk):
        if self._header is None:
            raise CorruptTensor(f"chunk {chunk.sequence} came without a header")
        if chunk.sequence != len(self._chunks):
            raise self._error(f"chunk {chunk.sequence} came where {len(self._chunks)} must")
        if not 0 < len(chunk.data) <= MAX_CHUNK_BYTES:
            raise self._error(f"chunk {chunk.sequence} has {len(chunk.data)} bytes")
        found = crc32c(chunk.data)
        if found != chunk.crc32c:
            raise self._error(f"chunk {chunk.sequence} has the CRC-32C {found:08x} instead of {chunk.crc32c:08x}")
        self._chunks.append(chunk.data)
        self._received += len(chunk.data)
        if self._received > self._header.byte_count:
            raise self._error(f"{self._received} bytes came instead of {self._header.byte_count}")

    def _error(self, text):
        return CorruptTensor(f"{self._header.name}: {text}")


def decode(name, data, data_type, shape, encoding=pb.ENCODING_RAW):
    """Encoded bytes as an array of a shape."""
    dtype = _DTYPES.get(data_type)
    if dtype is None:
        raise CorruptTensor(f"{name}: data type {data_type} is not known")
    count = int(np.prod(shape, dtype=np.int64))
    try:
        if encoding == pb.ENCODING_INT8_SCALED:
            return _decode_int8(data, shape)
        if encoding == pb.ENCODING_SPARSE:
            return _decode_sparse(data, count).reshape(shape)
        if len(data) != count * dtype.itemsize:
            raise ValueError(f"{len(data)} bytes for {count} elements")
        array = np.frombuffer(data, dtype)
        if data_type == pb.DATA_TYPE_BF16:
            array = (array.astype("<u4") << 16).view("<f4")
        return array.reshape(shape)
    except (ValueError, IndexError) as error:
        raise CorruptTensor(f"{name}: {error}") from error


def _decode_int8(data, shape):
    if not np.prod(shape, dtype=np.int64):
        return np.zeros(shape, "<f4")
    width = shape[-1] if shape else 1
    rows = np.frombuffer(data, np.dtype([("scale", "<f4"), ("values", "i1", (width,))]))
    return (rows["scale"][:, np.newaxis] * rows["values"]).reshape(shape)


def _decode_sparse(data, count):
    array = np.zeros(count, "<f4")
    if not data:
        return array
    kept = int(np.frombuffer(data, "<i8", 1)[0])
    if kept < 0 or len(data) != 8 + 8 * kept:
        raise ValueError(f"{len(data)} bytes for {kept} kept elements")
    indices = np.frombuffer(data, "<i4", kept, 8)
    if kept and (indices[0] < 0 or np.any(np.diff(indices) <= 0)):
        raise ValueError("indices that do not ascend")
    array[indices] = np.frombuffer(data, "<f4", kept, 8 + 4 * kept)
    return array


def read_safetensors(path):
    """All tensors of a .safetensors file by name."""
    with open(path, "rb") as file:
        data = file.read()
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start])
    header.pop("__metadata__", None)
    return {
        name: decode(name, data[start + entry["data_offsets"][0]:start + entry["data_offsets"][1]], _SAFETENSORS[entry["dtype"]], tuple(entry["shape"]))
        for name, entry in header.items()
    }
