//! Requests to a whole server: whatever is asked, the fault is never the server's, a refusal has its one shape, and
//! the books are right afterwards.

use std::sync::OnceLock;

use axum::body::Body;
use axum::http::Request;
use tokio::runtime::Runtime;

use crate::draw::Draw;
use crate::edge::{Edge, Engine, Known, Template};
use crate::request;

const REQUESTS_MAX: usize = 24;

static SQLITE: OnceLock<Template> = OnceLock::new();
static POSTGRES: OnceLock<Template> = OnceLock::new();

/// Query parameters, paths and headers.
pub(crate) fn query(draw: &mut Draw) -> anyhow::Result<()> {
    run(draw, Engine::Sqlite, request::reading)
}

/// Bodies: JSON, forms, and what is neither.
pub(crate) fn bodies(draw: &mut Draw) -> anyhow::Result<()> {
    run(draw, Engine::Sqlite, request::writing)
}

/// Both, over the database that says no to more.
pub(crate) fn postgres(draw: &mut Draw) -> anyhow::Result<()> {
    run(draw, Engine::Postgres, |draw, known| {
        if draw.one_in(2) { request::reading(draw, known) } else { request::writing(draw, known) }
    })
}

pub(crate) fn runtime() -> anyhow::Result<Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?)
}

/// What every server of this process is a copy of.
pub(crate) async fn template(engine: Engine) -> anyhow::Result<&'static Template> {
    let cell = match engine {
        Engine::Sqlite => &SQLITE,
        Engine::Postgres => &POSTGRES,
    };
    if let Some(known) = cell.get() {
        return Ok(known);
    }
    let made = Template::new(engine).await?;
    Ok(cell.get_or_init(|| made))
}

fn run(
    draw: &mut Draw,
    engine: Engine,
    make: impl Fn(&mut Draw, &Known) -> Option<Request<Body>>,
) -> anyhow::Result<()> {
    let runtime = runtime()?;
    runtime.block_on(async {
        let template = template(engine).await?;
        let edge: Edge = template.copy(engine).await?;
        for _ in 0..=draw.below(REQUESTS_MAX) {
            if let Some(request) = make(draw, &template.known) {
                request::ask(&edge, draw, request).await?;
            }
        }
        edge.end().await
    })
}
