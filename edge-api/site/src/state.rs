//! What every handler of the site has at hand.

use std::sync::Arc;

use axum::http::request::Parts;
use axum::response::Response;
use tokio::sync::{Semaphore, watch};
use web::visit::Assets;

use crate::api::InProcessApi;
use crate::cache::{Pictures, RenderedPages};
use crate::programs::Programs;

/// What the site shares with the rest of the process.
#[derive(Clone)]
pub struct Shared {
    /// Counts publications and their withdrawals: a page that was drawn before the last one is not shown again.
    pub publications: watch::Receiver<u64>,
    /// Work that may keep a core busy at once. Drawing takes its turn with everything else.
    pub cores: Arc<Semaphore>,
    /// The answer to whoever has had too many pages drawn.
    pub refuse_drawing: RefuseDrawing,
}

pub(crate) type RefuseDrawing = Arc<dyn Fn(&Parts) -> Option<Response> + Send + Sync>;

#[derive(Clone)]
pub(crate) struct Site {
    pub(crate) api: InProcessApi,
    pub(crate) public_url: Arc<str>,
    pub(crate) assets: Assets,
    pub(crate) programs: Arc<Programs>,
    pub(crate) rendered: RenderedPages,
    pub(crate) pictures: Pictures,
    pub(crate) shared: Shared,
}
