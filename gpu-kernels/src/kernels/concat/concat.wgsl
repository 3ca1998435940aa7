struct Params { start: u32, units: u32, len: u32, run: u32, out_run: u32, offset: u32 }

@group(0) @binding(0) var<storage, read> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(GROUP)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let unit = unit_of(p.start, group, groups);
  let i = unit * GROUP + lane;
  if (unit >= p.start + p.units || i >= p.len) { return; }
  out[(i / p.run) * p.out_run + p.offset + i % p.run] = x[i];
}
