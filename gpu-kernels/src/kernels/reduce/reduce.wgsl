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

// A value with its index along the reduced axes, which only some operations need.
struct Found { value: T, index: u32 }

fn found_at(base: i32, index: u32) -> Found { return Found(lift(value_at(base, index)), index); }
