//! The API as pages call it on the server: no socket, the caller's own cookie.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::http::header::COOKIE;
use axum::http::request::Builder;
use tower::ServiceExt;
use web::api::{Answered, Api, Server};

use crate::handover::Handover;

/// Most bytes of an API answer that a page reads.
const ANSWER_BYTES_MAX: usize = 8 << 20;

#[derive(Clone)]
pub(crate) struct InProcessApi(Router);

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Vec<u8>,
}

impl InProcessApi {
    pub(crate) fn new(router: Router) -> Self {
        Self(router)
    }

    /// What the API answers to a `GET`. `None` when its answer broke off or is longer than a page may be.
    pub(crate) async fn get(&self, path: &str, cookie: Option<String>) -> Option<Answer> {
        self.ask(Request::get(path), cookie).await
    }

    async fn ask(&self, mut request: Builder, cookie: Option<String>) -> Option<Answer> {
        if let Some(cookie) = cookie {
            request = request.header(COOKIE, cookie);
        }
        let response = self.0.clone().oneshot(request.body(Body::empty()).ok()?).await.ok()?;
        let status = response.status();
        let body = axum::body::to_bytes(response.into_body(), ANSWER_BYTES_MAX).await.ok()?;
        Some(Answer { status, body: body.to_vec() })
    }

    /// The same for the pages' own typed client.
    pub(crate) fn client(&self, cookie: Option<String>) -> Api {
        let api = self.clone();
        Api::in_process(Server(Arc::new(move |path| {
            let (api, cookie) = (api.clone(), cookie.clone());
            Box::pin(async move {
                let handover = Handover::default();
                let answer = api.ask(Request::get(path).extension(handover.clone()), cookie).await;
                match (handover.take(), answer) {
                    (Some(value), Some(_)) => Answered::Value(value),
                    (None, Some(answer)) => Answered::Json(answer.status.as_u16(), answer.body),
                    (_, None) => Answered::Json(StatusCode::BAD_GATEWAY.as_u16(), Vec::new()),
                }
            })
        })))
    }
}
