// SHA-256 of a part. Over plain http from another host browsers hide their own, and what the service
// has could not be told from what it lacks: it is computed here then, at a tenth of the speed.

/** Whether a digest costs next to nothing. */
export const isQuick = Boolean(globalThis.crypto?.subtle);

/** In hexadecimal digits. */
export async function sha256(bytes) {
  const digest = isQuick ? new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)) : plainSha256(bytes);
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** FIPS 180-4, 6.2. */
export function plainSha256(bytes) {
  const state = Int32Array.from(ROOTS.slice(0, 8), fraction(2));
  const words = new Int32Array(64);
  const whole = bytes.length - (bytes.length % 64);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let at = 0; at < whole; at += 64) block(state, words, view, at);
  const last = ending(bytes.subarray(whole), bytes.length);
  for (let at = 0; at < last.byteLength; at += 64) block(state, words, last, at);
  const digest = new DataView(new ArrayBuffer(32));
  state.forEach((word, index) => digest.setInt32(4 * index, word));
  return new Uint8Array(digest.buffer);
}

// The first 64 primes: the algorithm's constants are fractions of their roots.
const ROOTS = Array.from({ length: 310 }, (_, n) => n + 2).filter((n) => Array.from({ length: n - 2 }, (_, d) => d + 2).every((d) => n % d));
const CONSTANTS = Int32Array.from(ROOTS, fraction(3));

// The first 32 bits of the fraction of a root, exactly: doubles alone have too few digits.
function fraction(degree) {
  return (prime) => {
    const scaled = BigInt(prime) << BigInt(32 * degree);
    let root = BigInt(Math.floor(prime ** (1 / degree) * 2 ** 32));
    while (root ** BigInt(degree) > scaled) root -= 1n;
    while ((root + 1n) ** BigInt(degree) <= scaled) root += 1n;
    return Number(BigInt.asIntN(32, root));
  };
}

// What is left of the text, a one bit, zeros, and the text's length in bits.
function ending(rest, length) {
  const last = new Uint8Array(rest.length < 56 ? 64 : 128);
  last.set(rest);
  last[rest.length] = 0x80;
  const view = new DataView(last.buffer);
  view.setBigUint64(last.length - 8, 8n * BigInt(length));
  return view;
}

function block(state, w, view, at) {
  for (let t = 0; t < 16; t += 1) w[t] = view.getInt32(at + 4 * t);
  for (let t = 16; t < 64; t += 1) {
    const [x, y] = [w[t - 15], w[t - 2]];
    const s0 = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3);
    const s1 = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10);
    w[t] = (w[t - 16] + s0 + w[t - 7] + s1) | 0;
  }
  let [a, b, c, d] = [state[0], state[1], state[2], state[3]];
  let [e, f, g, h] = [state[4], state[5], state[6], state[7]];
  for (let t = 0; t < 64; t += 1) {
    const s1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
    const first = (h + s1 + ((e & f) ^ (~e & g)) + CONSTANTS[t] + w[t]) | 0;
    const s0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
    const second = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
    h = g;
    g = f;
    f = e;
    e = (d + first) | 0;
    d = c;
    c = b;
    b = a;
    a = (first + second) | 0;
  }
  // Int32Array wraps around by itself. No array is made here: this runs for every 64 bytes.
  state[0] += a;
  state[1] += b;
  state[2] += c;
  state[3] += d;
  state[4] += e;
  state[5] += f;
  state[6] += g;
  state[7] += h;
}
