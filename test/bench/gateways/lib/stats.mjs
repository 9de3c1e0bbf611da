export function quantiles(a) {
  if (!a.length) return { n: 0 }
  const s = Float64Array.from(a).sort()
  const q = p => +s[Math.min(s.length - 1, Math.floor(p * s.length))].toFixed(3)
  return { n: s.length, p50: q(0.5), p90: q(0.9), p99: q(0.99), max: +s[s.length - 1].toFixed(3) }
}
export function spread(v) {
  const s = [...v].sort((a, b) => a - b),
    n = s.length
  return { min: s[0], median: n % 2 ? s[(n - 1) / 2] : (s[n / 2 - 1] + s[n / 2]) / 2, max: s[n - 1], n }
}
export const num = x =>
  x === undefined ? '-' : Math.abs(x) >= 100 ? x.toFixed(0) : Math.abs(x) >= 10 ? x.toFixed(1) : x.toFixed(2)
