"""What calls fail with. The service's google.rpc.Status is read from its wire form: no package but grpcio is needed."""


class LabError(Exception):
    """A call failed.

    code: the gRPC status, such as "INVALID_ARGUMENT". reason: for programs, such as "BYTE_BUDGET_EXCEEDED". fields: the paths of the
    request's fields that are wrong, each with what is wrong. retry_after: seconds, or None if trying again does not help.
    """

    def __init__(self, code, message, status=b""):
        super().__init__(f"{code}: {message}")
        self.code, self.message = code, message
        self.reason, self.fields, self.retry_after = "", {}, None
        for detail in _of(status, 3):
            (url,), (value,) = _of(detail, 1), _of(detail, 2) or [b""]
            kind = url.decode().rsplit("/", 1)[-1]
            if kind == "google.rpc.ErrorInfo":
                self.reason = _text(value, 1)
            elif kind == "google.rpc.BadRequest":
                self.fields |= {_text(violation, 1): _text(violation, 2) for violation in _of(value, 1)}
            elif kind == "google.rpc.RetryInfo":
                delay = (_of(value, 1) or [b""])[0]
                self.retry_after = sum(_of(delay, 1)) + sum(_of(delay, 2)) / 1e9

    @staticmethod
    def of(error):
        """The error of a grpc.RpcError."""
        trailers = dict(error.trailing_metadata() or ())
        return LabError(error.code().name, error.details(), trailers.get("grpc-status-details-bin", b""))


def _text(data, number):
    return b"".join(_of(data, number)).decode()


def _of(data, number):
    """The values of a field of a serialized message: numbers and bytes."""
    values, at = [], 0
    while at < len(data):
        key, at = _varint(data, at)
        if key & 7 == 0:
            value, at = _varint(data, at)
        else:
            size, at = _varint(data, at) if key & 7 == 2 else ({1: 8, 5: 4}[key & 7], at)
            value, at = data[at:at + size], at + size
        if key >> 3 == number:
            values.append(value)
    return values


def _varint(data, at):
    value = shift = 0
    while True:
        value |= (data[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if data[at - 1] < 0x80:
            return value, at
