//! What a browser downloads, compressed by Brotli at its best. One JSON object a line.

#![expect(clippy::print_stdout, reason = "a benchmark's figures go to standard output")]

use std::io::Write;

use serde_json::json;

fn brotli_bytes(name: &str) -> usize {
    let file = e2e::folder().join("../target/site").join(name);
    let bytes = std::fs::read(file).expect("the site should be built: run make build");
    let mut compressed = brotli::CompressorWriter::new(Vec::new(), 1 << 16, 11, 24);
    compressed.write_all(&bytes).expect("memory should take what is written");
    compressed.into_inner().len()
}

fn main() {
    let bundles = [
        ("size.portal", ["web_bg.wasm", "web.js"], 300),
        ("size.worker", ["browser-worker_bg.wasm", "browser-worker.js"], 200),
        ("size.worker_cpu", ["browser-worker-cpu_bg.wasm", "browser-worker-cpu.js"], 450),
    ];
    for (figure, files, goal) in bundles {
        let bytes: usize = files.iter().map(|file| brotli_bytes(file)).sum();
        let kilobytes = f64::from(u32::try_from(bytes).unwrap_or(u32::MAX)) / 1000.0;
        println!("{}", json!({ "figure": figure, "value": kilobytes, "unit": "kB Brotli", "goal": goal }));
    }
}
