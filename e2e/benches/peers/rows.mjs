// The rows that every page of the comparison shows: ten columns, two hundred rows.
export const rows = Array.from({ length: 200 }, (_, i) => ({
  id: (i * 2654435761 % 2 ** 32).toString(16).padStart(12, "0"),
  state: i % 3 ? "Online" : "Offline",
  class: i % 2 ? "native" : "tab",
  name: `NVIDIA GeForce RTX 40${i % 90}`,
  backend: "vulkan",
  speed: `${(i * 7.3).toFixed(1)} GFLOP/s`,
  tiles: i * 113,
  work: `${(i * 3.1).toFixed(1)} TFLOP`,
  checks: `${i * 9} / 0`,
  earned: (i * 0.000225).toFixed(6),
}));
