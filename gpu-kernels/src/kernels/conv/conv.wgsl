struct Params {
  start: u32, units: u32,
  n: u32, groups: u32, channels: u32, filters: u32, has_bias: u32,
  size: array<u32, 3>, out: array<u32, 3>, kernel: array<u32, 3>,
  stride: array<u32, 3>, dilation: array<u32, 3>, pad: array<u32, 3>,
  low: f32, high: f32, bounded: u32,
}

@group(0) @binding(0) var<storage, read> p: Params;
@group(0) @binding(1) var<storage, read> x: array<T>;
@group(0) @binding(3) var<storage, read> bias: array<T>;
@group(0) @binding(4) var<storage, read_write> out: array<T>;
