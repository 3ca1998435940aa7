//! The device's key, kept by this browser for this site.

use wasm_bindgen::prelude::*;
use wire::TileHash;

use crate::identity::Identity;

const DATABASE: &str = "tessera";
const STORE: &str = "device";
const KEY: &str = "secret";

/// Made on first use.
pub(super) async fn identity() -> Result<Identity, String> {
    let describe = |error: rexie::Error| error.to_string();
    let store = rexie::ObjectStore::new(STORE);
    let database =
        rexie::Rexie::builder(DATABASE).version(1).add_object_store(store).build().await.map_err(describe)?;
    let transaction = database.transaction(&[STORE], rexie::TransactionMode::ReadWrite).map_err(describe)?;
    let store = transaction.store(STORE).map_err(describe)?;
    let key = JsValue::from_str(KEY);
    let kept = store.get(key.clone()).await.map_err(describe)?.and_then(|value| value.as_string());
    let kept = kept.and_then(|text| text.parse::<TileHash>().ok());
    let secret = if let Some(secret) = kept {
        secret
    } else {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret).map_err(|error| error.to_string())?;
        let secret = TileHash(secret);
        store.put(&JsValue::from_str(&secret.to_string()), Some(&key)).await.map_err(describe)?;
        secret
    };
    transaction.done().await.map_err(describe)?;
    Ok(Identity::from_secret(&secret.0))
}
