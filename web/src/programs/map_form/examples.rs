//! Kernels to start from, each with records to try it with.

use crate::programs::typed::to_f32;
use crate::text::Text;

pub(super) struct Example {
    pub(super) label: fn(&'static Text) -> &'static str,
    /// Among the site's samples.
    pub(super) file: &'static str,
    pub(super) record_bytes: u32,
    pub(super) out_bytes: u32,
    /// As they would be typed.
    pub(super) params: &'static str,
    pub(super) tolerance: [&'static str; 2],
    /// What the records' file is called, and its bytes.
    pub(super) records: (&'static str, fn() -> Vec<u8>),
}

pub(super) static EXAMPLES: [Example; 3] = [
    Example {
        label: |t| t.map.example_mandelbrot,
        file: "mandelbrot.wgsl",
        record_bytes: 4,
        out_bytes: 4,
        params: "256 128 0 0",
        tolerance: ["1e-4", "1e-6"],
        records: ("pixels.bin", pixels),
    },
    Example {
        label: |t| t.map.example_options,
        file: "option_price.wgsl",
        record_bytes: 24,
        out_bytes: 8,
        params: "2000 0 0 0",
        tolerance: ["1e-3", "1e-4"],
        records: ("contracts.bin", contracts),
    },
    Example {
        label: |t| t.map.example_hashes,
        file: "hash_search.wgsl",
        record_bytes: 8,
        out_bytes: 8,
        // "block 840000 of nobody's chain", and SHA-256's own padding.
        params: "0x626c6f63 0x6b203834 0x30303030 0x206f6620 0x6e6f626f 0x64792773 0x20636861 0x696e0000 \
                 0 0 0 0 0 0x80000000 0 416",
        tolerance: ["1e-4", "1e-6"],
        records: ("ranges.bin", ranges),
    },
];

fn words(values: impl Iterator<Item = u32>) -> Vec<u8> {
    values.flat_map(u32::to_le_bytes).collect()
}

/// Of a picture of 256 by 256.
fn pixels() -> Vec<u8> {
    words(0..65_536)
}

/// Spot, strike, rate, volatility, years, seed.
fn contracts() -> Vec<u8> {
    let contract = |seed: u32| {
        let (strike, years) = (80 + seed % 41, 1 + seed / 41 % 4);
        let [strike, years] = [strike, years].map(f64::from);
        let floats = [100.0, strike, 0.03, 0.2, years / 2.0].map(|value| to_f32(value).to_bits());
        floats.into_iter().chain([seed])
    };
    words((0..164).flat_map(contract))
}

/// First nonce, and how many.
fn ranges() -> Vec<u8> {
    words((0..4096).flat_map(|range| [range * 16, 16]))
}

#[cfg(test)]
mod tests {
    use super::super::params::parse;
    use super::*;

    #[test]
    fn every_example_has_whole_records_and_parameters_that_are_read() {
        for example in &EXAMPLES {
            let (name, records) = example.records;
            assert_eq!(records().len() % usize::try_from(example.record_bytes).unwrap(), 0, "{name}");
            assert_eq!(parse(example.params).unwrap().len() % 16, 0, "{name}");
            let file = ["../e2e/samples/kernels", "../edge-api/client/examples/map"].map(|folder| {
                std::path::Path::new(&std::env::var("CARGO_MANIFEST_DIR").unwrap()).join(folder).join(example.file)
            });
            assert!(file.iter().any(|file| file.exists()), "{}", example.file);
        }
    }
}
