/** What calls fail with. The service's google.rpc.Status is read from its wire form: no further package is needed. */
import { status, type ServiceError } from "@grpc/grpc-js";

/** A call failed. */
export class LabError extends Error {
  override readonly name = "LabError";
  /** The gRPC status, such as "INVALID_ARGUMENT". */
  readonly code: string;
  /** For programs, such as "BYTE_BUDGET_EXCEEDED". */
  readonly reason: string = "";
  /** The paths of the request's fields that are wrong, each with what is wrong. */
  readonly fields: ReadonlyMap<string, string> = new Map();
  /** Seconds; undefined if trying again does not help. */
  readonly retryAfter: number | undefined;

  constructor(code: number, message: string, details: Uint8Array = new Uint8Array()) {
    super(`${status[code]}: ${message}`);
    this.code = status[code] ?? `${code}`;
    for (const detail of bytesOf(details, 3)) {
      const kind = textOf(detail, 1).split("/").at(-1);
      const value = bytesOf(detail, 2)[0] ?? new Uint8Array();
      if (kind === "google.rpc.ErrorInfo") this.reason = textOf(value, 1);
      else if (kind === "google.rpc.BadRequest") this.fields = new Map(bytesOf(value, 1).map((violation) => [textOf(violation, 1), textOf(violation, 2)]));
      else if (kind === "google.rpc.RetryInfo") {
        const delay = bytesOf(value, 1)[0] ?? new Uint8Array();
        this.retryAfter = (numbersOf(delay, 1)[0] ?? 0) + (numbersOf(delay, 2)[0] ?? 0) / 1e9;
      }
    }
  }

  /** What a call of grpc-js threw, if it was an error of the call. */
  static of(error: unknown): unknown {
    const { code, details, metadata } = error as Partial<ServiceError>;
    return typeof code === "number" && metadata ? new LabError(code, details ?? "", metadata.get("grpc-status-details-bin")[0] as Buffer | undefined) : error;
  }
}

const textOf = (data: Uint8Array, field: number): string => new TextDecoder().decode(bytesOf(data, field)[0]);
const bytesOf = (data: Uint8Array, field: number): Uint8Array[] => valuesOf(data, field).filter((value) => typeof value !== "number");
const numbersOf = (data: Uint8Array, field: number): number[] => valuesOf(data, field).filter((value) => typeof value === "number");

/** The values of a field of a serialized message. */
function valuesOf(data: Uint8Array, field: number): (number | Uint8Array)[] {
  const values: (number | Uint8Array)[] = [];
  let at = 0;
  const varint = (): number => {
    for (let value = 0, unit = 1; ; unit *= 128) {
      const byte = data[at++] ?? 0;
      value += (byte & 0x7f) * unit;
      if (byte < 0x80) return value;
    }
  };
  while (at < data.length) {
    const key = varint(), wire = key & 7;
    let value: number | Uint8Array;
    if (wire === 0) value = varint();
    else {
      const size = wire === 2 ? varint() : wire === 1 ? 8 : 4;
      value = data.subarray(at, (at += size));
    }
    if (key >> 3 === field) values.push(value);
  }
  return values;
}
