struct View { offset: i32, strides: array<i32, MAX_RANK> }
struct Params {
  start: u32, units: u32, len: u32, rank: u32, red_rank: u32, red_len: u32,
  shape: array<u32, MAX_RANK>, red_shape: array<u32, MAX_RANK>,
  view: View, red_strides: array<i32, MAX_RANK>,
}

@group(0) @binding(0) var<storage, read> p: Params;
@group(0) @binding(1) var<storage, read> x: array<T>;
@group(0) @binding(2) var<storage, read_write> out: array<Result>;

fn base_of(index: u32) -> i32 {
  var rest = index;
  var at = p.view.offset;
  for (var d = p.rank; d > 0u; d--) {
    at += i32(rest % p.shape[d - 1u]) * p.view.strides[d - 1u];
    rest = rest / p.shape[d - 1u];
  }
  return at;
}

fn value_at(base: i32, index: u32) -> T {
  if (p.red_rank == 1u) { return x[base + i32(index) * p.red_strides[0]]; }
  var rest = index;
  var at = base;
  for (var d = p.red_rank; d > 0u; d--) {
    at += i32(rest % p.red_shape[d - 1u]) * p.red_strides[d - 1u];
    rest = rest / p.red_shape[d - 1u];
  }
  return x[at];
}

// A value with its place along the reduced axes, which only some operations ask for.
struct Found { value: T, place: u32 }

fn found_at(base: i32, index: u32) -> Found { return Found(lift(value_at(base, index)), index); }
