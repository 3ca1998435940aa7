//! Blobs by `fetch`.

use js_sys::Uint8Array;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{RequestInit, Response};

use super::page::scope;
use crate::transfer::{EdgeUrl, Transfer, TransferError};

pub(super) struct Http {
    url: EdgeUrl,
}

impl Http {
    pub(super) fn new(url: EdgeUrl) -> Self {
        Self { url }
    }

    async fn fetch(&self, path: &str, options: &RequestInit) -> Result<Response, TransferError> {
        let url = self.url.http(path);
        let response = JsFuture::from(scope().fetch_with_str_and_init(&url, options)).await.map_err(network)?;
        let response: Response = response.unchecked_into();
        if response.ok() { Ok(response) } else { Err(TransferError::Status { status: response.status() }) }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err wants")]
fn network(error: JsValue) -> TransferError {
    TransferError::Network { reason: format!("{error:?}") }
}

impl Transfer for Http {
    async fn get(&self, path: &str) -> Result<Vec<u8>, TransferError> {
        let response = self.fetch(path, &RequestInit::new()).await?;
        let buffer = JsFuture::from(response.array_buffer().map_err(network)?).await.map_err(network)?;
        Ok(Uint8Array::new(&buffer).to_vec())
    }

    async fn put(&self, path: &str, body: Vec<u8>) -> Result<(), TransferError> {
        let options = RequestInit::new();
        options.set_method("PUT");
        options.set_body(&Uint8Array::from(body.as_slice()));
        self.fetch(path, &options).await.map(drop)
    }
}
