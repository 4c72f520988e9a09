/** Tensors of the API as typed arrays: those within messages, streamed ones, and those of .safetensors files. */
import { readFileSync } from "node:fs";
import { crc32c } from "./crc32c.js";
import type { Tensor as TensorMessage } from "./generated/lab/tensor/v1/Tensor.js";
import type { TensorFrame__Output } from "./generated/lab/tensor/v1/TensorFrame.js";
import type { TensorHeader__Output } from "./generated/lab/tensor/v1/TensorHeader.js";

const MAX_CHUNK_BYTES = 1 << 20;

/** Elements, row-major. FP16 and BF16 become 32-bit floats, which hold every value of theirs; INT64 doubles, exact below 2^53. */
export interface Tensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly data: Float32Array | Float64Array | Int32Array;
}

/** Bytes that are not what was announced. Names the tensor, and of a stream the chunk. */
export class CorruptTensor extends Error {
  override readonly name = "CorruptTensor";
}

/** Numbers as a message of 32-bit floats. */
export function toMessage(values: ArrayLike<number>, shape: readonly number[]): TensorMessage {
  const floats = Float32Array.from(values);
  return { dataType: "DATA_TYPE_FP32", shape: [...shape], data: Buffer.from(floats.buffer) };
}

/** Puts the tensors of a stream of frames together and trusts none of them: order, lengths and checksums are checked. */
export class TensorReader {
  #header: TensorHeader__Output | undefined;
  #chunks: Buffer[] = [];
  #received = 0;

  /** Takes the next frame. The tensor that it completes, if it does. */
  accept(frame: TensorFrame__Output): Tensor | undefined {
    if (frame.header) {
      if (this.#header) throw this.#error(`the header of '${frame.header.name}' came before its chunk ${this.#chunks.length}`);
      this.#header = frame.header;
      this.#chunks = [];
      this.#received = 0;
    } else {
      this.#append(frame.chunk!);
    }
    const header = this.#header!;
    if (this.#chunks.length < header.chunkCount) return undefined;
    if (this.#received !== header.byteCount) throw this.#error(`${this.#received} bytes came instead of ${header.byteCount}`);
    this.#header = undefined;
    const data = this.#chunks.length === 1 ? this.#chunks[0]! : Buffer.concat(this.#chunks);
    return decode(header.name, data, header.dataType, header.shape, header.encoding);
  }

  /** Says that the stream has ended. */
  complete(): void {
    if (this.#header) throw this.#error(`the stream ended before chunk ${this.#chunks.length} of ${this.#header.chunkCount}`);
  }

  #append(chunk: NonNullable<TensorFrame__Output["chunk"]>): void {
    if (!this.#header) throw new CorruptTensor(`chunk ${chunk.sequence} came without a header`);
    if (chunk.sequence !== this.#chunks.length) throw this.#error(`chunk ${chunk.sequence} came where ${this.#chunks.length} must`);
    if (chunk.data.length === 0 || chunk.data.length > MAX_CHUNK_BYTES) throw this.#error(`chunk ${chunk.sequence} has ${chunk.data.length} bytes`);
    const found = crc32c(chunk.data);
    if (found !== chunk.crc32c) throw this.#error(`chunk ${chunk.sequence} has the CRC-32C ${found} instead of ${chunk.crc32c}`);
    this.#chunks.push(chunk.data);
    this.#received += chunk.data.length;
    if (this.#received > this.#header.byteCount) throw this.#error(`${this.#received} bytes came instead of ${this.#header.byteCount}`);
  }

  #error(text: string): CorruptTensor {
    return new CorruptTensor(`${this.#header!.name}: ${text}`);
  }
}

/** Encoded bytes as a tensor. */
export function decode(name: string, bytes: Uint8Array, dataType: string, shape: readonly number[], encoding = "ENCODING_RAW"): Tensor {
  const count = shape.reduce((product, size) => product * size, 1);
  switch (encoding) {
    case "ENCODING_INT8_SCALED": return { name, shape, data: decodeInt8(name, bytes, count, shape) };
    case "ENCODING_SPARSE": return { name, shape, data: decodeSparse(name, bytes, count) };
    default: return { name, shape, data: decodeRaw(name, bytes, count, dataType) };
  }
}

function decodeRaw(name: string, bytes: Uint8Array, count: number, dataType: string): Tensor["data"] {
  const size = { DATA_TYPE_FP32: 4, DATA_TYPE_FP16: 2, DATA_TYPE_BF16: 2, DATA_TYPE_FP64: 8, DATA_TYPE_INT64: 8, DATA_TYPE_INT32: 4 }[dataType];
  if (!size) throw new CorruptTensor(`${name}: data type ${dataType} is not known`);
  if (bytes.length !== count * size) throw new CorruptTensor(`${name}: ${bytes.length} bytes for ${count} elements`);
  // A copy: typed arrays must be aligned, and the message's memory is shared.
  const buffer = Uint8Array.from(bytes).buffer;
  switch (dataType) {
    case "DATA_TYPE_FP64": return new Float64Array(buffer);
    case "DATA_TYPE_INT64": return Float64Array.from(new BigInt64Array(buffer), Number);
    case "DATA_TYPE_INT32": return new Int32Array(buffer);
    case "DATA_TYPE_FP16": return Float32Array.from(new Uint16Array(buffer), halfToFloat);
    case "DATA_TYPE_BF16": return new Float32Array(Uint32Array.from(new Uint16Array(buffer), (bits) => bits << 16).buffer);
    default: return new Float32Array(buffer);
  }
}

function halfToFloat(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1, exponent = (bits >> 10) & 31, fraction = bits & 1023;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (exponent ? (1 + fraction / 1024) * 2 ** (exponent - 15) : fraction * 2 ** -24);
}

function decodeInt8(name: string, bytes: Uint8Array, count: number, shape: readonly number[]): Float32Array {
  const result = new Float32Array(count);
  if (count === 0) return result;
  const width = shape.at(-1) ?? 1;
  if (bytes.length !== count + (count / width) * 4) throw new CorruptTensor(`${name}: ${bytes.length} bytes for ${count} elements`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let i = 0, at = 0; i < count; ) {
    const scale = view.getFloat32(at, true);
    at += 4;
    for (const end = i + width; i < end; i++) result[i] = scale * view.getInt8(at++);
  }
  return result;
}

function decodeSparse(name: string, bytes: Uint8Array, count: number): Float32Array {
  const result = new Float32Array(count);
  if (bytes.length === 0) return result;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const kept = Number(view.getBigInt64(0, true));
  if (bytes.length !== 8 + 8 * kept) throw new CorruptTensor(`${name}: ${bytes.length} bytes for ${kept} kept elements`);
  for (let i = 0, last = -1; i < kept; i++) {
    const index = view.getInt32(8 + 4 * i, true);
    if (index <= last || index >= count) throw new CorruptTensor(`${name}: index ${index} after ${last} of ${count}`);
    result[index] = view.getFloat32(8 + 4 * kept + 4 * i, true);
    last = index;
  }
  return result;
}

/** All tensors of a .safetensors file by name. */
export function readSafetensors(path: string): Map<string, Tensor> {
  const types: Record<string, string> = { F32: "FP32", F16: "FP16", BF16: "BF16", F64: "FP64", I64: "INT64", I32: "INT32" };
  const file = readFileSync(path);
  const start = 8 + Number(file.readBigUInt64LE(0));
  const header = JSON.parse(file.toString("utf8", 8, start)) as Record<string, { dtype: string; shape: number[]; data_offsets: [number, number] }>;
  delete header["__metadata__"];
  return new Map(
    Object.entries(header).map(([name, { dtype, shape, data_offsets: [from, to] }]) => [
      name,
      decode(name, file.subarray(start + from, start + to), `DATA_TYPE_${types[dtype]}`, shape),
    ]),
  );
}
