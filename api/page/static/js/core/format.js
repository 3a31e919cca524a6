// Numbers, sizes and times as people read them.

const SECOND = 1;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** 0.8342 -> "83.4 %". */
export const percent = (fraction, digits = 1) =>
  fraction === null || fraction === undefined ? "–" : `${(100 * fraction).toFixed(digits)} %`;

/** 0.0342 -> "+3.4", of a difference of fractions, in points; a minus that is one. */
export function points(difference, digits = 1) {
  if (difference === null || difference === undefined) return "–";
  const text = Math.abs(100 * difference).toFixed(digits);
  if (Number(text) === 0) return `±${text}`;
  return `${difference > 0 ? "+" : "−"}${text}`;
}

export function count(number) {
  return number === null || number === undefined ? "–" : number.toLocaleString("en");
}

/** 1 -> "1 image", 1200 -> "1,200 images"; `many` where an s does not make it. */
export const several = (number, one, many = `${one}s`) => `${count(number)} ${number === 1 ? one : many}`;

export function number(value, digits = 3) {
  if (value === null || value === undefined) return "–";
  return Math.abs(value) >= 1e-3 || value === 0 ? Number(value.toPrecision(digits)).toString() : value.toExponential(digits - 1).replace(/\.?0+e/, "e");
}

export function bytes(size) {
  if (size === null || size === undefined) return "–";
  let unit = 0;
  while (size >= 1000 && unit < 4) {
    size /= 1000;
    unit += 1;
  }
  return `${unit === 0 ? size : size.toFixed(1)} ${["B", "kB", "MB", "GB", "TB"][unit]}`;
}

/** 3725 -> "1 h 2 min". */
export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < MINUTE) return `${whole} s`;
  if (whole < HOUR) return `${Math.floor(whole / MINUTE)} min ${whole % MINUTE} s`;
  if (whole < DAY) return `${Math.floor(whole / HOUR)} h ${Math.floor((whole % HOUR) / MINUTE)} min`;
  return `${Math.floor(whole / DAY)} d ${Math.floor((whole % DAY) / HOUR)} h`;
}

/** Seconds since 1970 -> "2026-11-27 13:10", in the reader's time. */
export function moment(at) {
  if (at === null || at === undefined) return "–";
  const date = new Date(1000 * at);
  const two = (value) => String(value).padStart(2, "0");
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${two(date.getHours())}:${two(date.getMinutes())}`;
}

/** How long ago that was. */
export function ago(at, now = Date.now() / 1000) {
  if (at === null || at === undefined) return "–";
  const seconds = Math.max(0, now - at);
  if (seconds < MINUTE) return "just now";
  if (seconds < HOUR) return `${Math.floor(seconds / MINUTE)} min ago`;
  if (seconds < DAY) return `${Math.floor(seconds / HOUR)} h ago`;
  return `${Math.floor(seconds / DAY)} d ago`;
}
