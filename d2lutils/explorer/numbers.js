// Numbers: how they are written, and which ones stand at an axis.

export const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
export const range = (n, f) => Array.from({ length: n }, (_, i) => f(i));
export const nearest = (places, x) =>
  places.reduce((best, at, i) => (Math.abs(at - x) < Math.abs(places[best] - x) ? i : best), 0);

/** Write a number with so many digits after the point; with three significant ones if that is null,
 *  or the number is huge. */
export function format(value, digits) {
  if (Number.isNaN(value)) return "–";
  if (digits !== null && Math.abs(value) < 1e6) return value.toFixed(digits).replace("-", "−");
  if (value === 0 || (Math.abs(value) >= 1e-3 && Math.abs(value) < 1e4)) return `${+value.toPrecision(3)}`;
  const [mantissa, power] = value.toExponential(2).split("e");
  return `${+mantissa}e${+power}`;
}

/** The span of an axis. A few runs that blow up must not flatten all others. */
export function span(numbers, log) {
  const values = numbers.filter((v) => v > (log ? 0 : -Infinity)).sort((a, b) => a - b);
  if (!values.length) return [0.1, 1];
  const at = (share) => values[Math.floor(share * (values.length - 1))], low = at(0);
  let high = at(1);
  if (log) return [low / (high / low) ** 0.05 / 1.2, high * (high / low) ** 0.05 * 1.2];
  if (high > 20 * at(0.5) && high > 4 * at(0.75)) high = 4 * at(0.75);
  const pad = 0.05 * (high - low) || 0.5;
  return [low < 0 ? low - pad : Math.max(low - pad, 0), high + pad];
}

/** Round numbers in a span: [number, text]. */
export function ticks([low, high], log, wanted = 5) {
  const [first, last] = log ? [Math.log10(low), Math.log10(high)] : [low, high];
  const rough = (last - first) / wanted, power = 10 ** Math.floor(Math.log10(rough));
  let step = power * [1, 2, 5, 10].find((factor) => factor * power > 0.999 * rough);
  if (log) step = Math.max(1, Math.ceil(step));
  const start = Math.ceil(first / step), digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  return range(Math.max(0, Math.floor(last / step - start + 1 + 1e-9)), (i) => (start + i) * step)
    .map((v) => (log ? [10 ** v, format(10 ** v, null)] : [v, format(v, digits)]));
}
