/** CRC-32C (Castagnoli), the checksum of every chunk of a streamed tensor. */

const POLYNOMIAL = 0x82f63b78;
const WORD = 8;

/** What each value of a byte becomes with 0 to 7 more bytes behind it, one table of 256 after another. */
const TABLES = new Uint32Array(WORD * 256);
for (let byte = 0; byte < 256; byte++) {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ POLYNOMIAL : value >>> 1;
  TABLES[byte] = value;
}
for (let i = 256; i < TABLES.length; i++) {
  const before = TABLES[i - 256]!;
  TABLES[i] = TABLES[before & 0xff]! ^ (before >>> 8);
}

/** The checksum of bytes: that of "123456789" is 0xe3069283. */
export function crc32c(data: Uint8Array): number {
  const t = TABLES;
  let crc = ~0, i = 0;
  for (const words = data.length - (data.length % WORD); i < words; i += WORD) {
    crc =
      t[1792 + ((crc ^ data[i]!) & 0xff)]! ^
      t[1536 + (((crc >>> 8) ^ data[i + 1]!) & 0xff)]! ^
      t[1280 + (((crc >>> 16) ^ data[i + 2]!) & 0xff)]! ^
      t[1024 + ((crc >>> 24) ^ data[i + 3]!)]! ^
      t[768 + data[i + 4]!]! ^
      t[512 + data[i + 5]!]! ^
      t[256 + data[i + 6]!]! ^
      t[data[i + 7]!]!;
  }
  for (; i < data.length; i++) crc = t[(crc ^ data[i]!) & 0xff]! ^ (crc >>> 8);
  return ~crc >>> 0;
}
