//! Orders from end to end: models, arrays, kernels and records that nobody should have sent are uploaded, quoted, tried
//! and ordered, and what a lease of them opens is fetched.

use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};

use super::requests::{runtime, template};
use super::{gate, npy, npz, onnx};
use crate::draw::Draw;
use crate::edge::{Edge, Engine, Known};
use crate::request;

pub(crate) fn run(draw: &mut Draw) -> anyhow::Result<()> {
    runtime()?.block_on(async {
        let template = template(Engine::Sqlite).await?;
        let edge = template.copy(Engine::Sqlite).await?;
        let customer = Customer { edge: &edge, known: &template.known };
        for _ in 0..=draw.below(2) {
            let program = if draw.one_in(3) { customer.map(draw).await? } else { customer.infer(draw).await? };
            customer.order(draw, program).await?;
        }
        edge.end().await
    })
}

struct Customer<'a> {
    edge: &'a Edge,
    known: &'a Known,
}

impl Customer<'_> {
    /// The answer's JSON; null where it is a refusal or no JSON.
    async fn send(&self, draw: &mut Draw, method: &str, target: &str, body: Vec<u8>) -> anyhow::Result<Value> {
        let request = Request::builder().method(method).uri(target).header("content-type", "application/json");
        let request = request.header("authorization", format!("Bearer {}", self.known.keys[0]));
        draw.show(&format!("{method} {target}"), &body);
        let answer = request::ask(self.edge, draw, request.body(Body::from(body))?).await?;
        Ok(serde_json::from_slice(&answer).unwrap_or_default())
    }

    async fn upload(&self, draw: &mut Draw, bytes: Vec<u8>) -> anyhow::Result<Value> {
        let stored = self.send(draw, "POST", "/v1/blobs", bytes).await?;
        Ok(stored["hash"].clone())
    }

    async fn infer(&self, draw: &mut Draw) -> anyhow::Result<Value> {
        let known = |hash: &str| Value::from(hash);
        let (model, rows) = if draw.one_in(3) {
            (known(&self.known.model), vec![vec![1]])
        } else {
            let (bytes, rows) = onnx::file(draw);
            (self.upload(draw, bytes).await?, rows)
        };
        let input = match draw.below(6) {
            0 => known(&self.known.input),
            1 => {
                let bytes = npz::file(draw)?;
                self.upload(draw, bytes).await?
            }
            2 => {
                let bytes = npy::file(draw);
                self.upload(draw, bytes).await?
            }
            _ => {
                let bytes = fitting(draw, &rows);
                self.upload(draw, bytes).await?
            }
        };
        let mut program = json!({ "kind": "infer", "model": model });
        if draw.one_in(6) {
            program["inputs"] = json!({ "x": input, draw.text(5): self.known.input });
        } else {
            program["input"] = input;
        }
        if draw.one_in(3) {
            program["tile_rows"] = json!(draw.number() >> 32);
        }
        Ok(program)
    }

    async fn map(&self, draw: &mut Draw) -> anyhow::Result<Value> {
        let (source, contract) = (gate::source(draw), gate::contract(draw));
        let kernel = self.upload(draw, source.into_bytes()).await?;
        let size = draw.size(4000) / 4 * 4;
        let records = draw.bytes(size);
        let input = self.upload(draw, records).await?;
        let (record_bytes, out_bytes) = (contract.record_bytes, contract.out_bytes);
        let mut program = json!({
            "kind": "map", "kernel": kernel, "input": input, "record_bytes": record_bytes, "out_bytes": out_bytes,
        });
        if draw.one_in(4) {
            let size = draw.size(300);
            let params = draw.bytes(size);
            program["params"] = self.upload(draw, params).await?;
        }
        if draw.one_in(4) {
            program["check"] = json!({ "kind": "tolerance", "rtol": draw.float(), "atol": 0.1 });
        }
        if draw.one_in(4) {
            program["tile_records"] = json!(draw.number() >> 32);
        }
        Ok(program)
    }

    async fn order(&self, draw: &mut Draw, program: Value) -> anyhow::Result<()> {
        let order = json!({ "program": program }).to_string().into_bytes();
        self.send(draw, "POST", "/v1/quotes", order.clone()).await?;
        let lease = self.send(draw, "POST", "/v1/trials", order.clone()).await?;
        if let Some(token) = lease["token"].as_str() {
            self.fetch(draw, &format!("/v1/leases/{token}")).await?;
        }
        let job = self.send(draw, "POST", "/v1/jobs", order).await?;
        if let Some(id) = job["id"].as_str() {
            self.send(draw, "POST", &format!("/v1/jobs/{id}/publish"), Vec::new()).await?;
            for part in ["", "/detail", "/progress", "/result?partial=true", "/result?format=csv"] {
                self.send(draw, "GET", &format!("/v1/jobs/{id}{part}"), Vec::new()).await?;
            }
            self.fetch(draw, &format!("/v1/public/jobs/{id}/sample")).await?;
            for page in ["", ".png", ".json"] {
                self.send(draw, "GET", &format!("/explorer/jobs/{id}{page}"), Vec::new()).await?;
            }
            self.send(draw, "GET", &format!("/jobs/{id}"), Vec::new()).await?;
            self.send(draw, "POST", &format!("/v1/jobs/{id}/cancel"), Vec::new()).await?;
        }
        Ok(())
    }

    /// Whatever a tile's files are.
    async fn fetch(&self, draw: &mut Draw, place: &str) -> anyhow::Result<()> {
        let rows = draw.pick(&[0, 1, 2, 64, 1 << 20, u64::MAX]);
        for part in ["code", "kernel", "params", "input", &format!("plan?rows={rows}"), &format!("weights?rows={rows}")]
        {
            self.send(draw, "GET", &format!("{place}/{part}"), Vec::new()).await?;
        }
        Ok(())
    }
}

/// Rows that a model was made for, a few of them.
fn fitting(draw: &mut Draw, rows: &[Vec<usize>]) -> Vec<u8> {
    let count = draw.size(20);
    let row = rows.first().cloned().unwrap_or_default();
    let shape: Vec<u64> = std::iter::once(count).chain(row).filter_map(|size| u64::try_from(size).ok()).collect();
    let dtype = if draw.one_in(4) { draw.pick(&wire::DType::ALL) } else { wire::DType::Float32 };
    let values = shape.iter().try_fold(dtype.bytes(), |bytes, size| bytes.checked_mul(*size));
    let values = values.and_then(|bytes| usize::try_from(bytes).ok()).filter(|bytes| *bytes < 1 << 19).unwrap_or(0);
    let mut bytes = edge_api::arrays::npy::head(dtype, &shape);
    bytes.extend(draw.bytes(values));
    bytes
}
