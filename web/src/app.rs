//! The frame of every page: document, language, navigation, routes.

use std::sync::Arc;

use leptos::prelude::*;
use leptos_meta::{MetaTags, Title, provide_meta_context};
use leptos_router::components::{A, Route, Router, Routes};
use leptos_router::{SsrMode, path};

use crate::pages::{ExplorerJob, JobPage, LendPage, NewJob, NotFound};
use crate::route::Page;
use crate::text::{Lang, text};

/// What the server knows of a request and a page may want.
#[derive(Clone)]
pub struct Request {
    /// The address people reach this server at.
    pub public_url: Arc<str>,
    /// Sets the status of the answer.
    pub set_status: Arc<dyn Fn(u16) + Send + Sync>,
}

/// Sets the status of the answer, where there is one to set.
pub fn set_status(status: u16) {
    if let Some(request) = use_context::<Request>() {
        (request.set_status)(status);
    }
}

/// The absolute address of a page. In the browser the head is already written.
pub fn canonical(page: Page) -> String {
    let origin = use_context::<Request>().map(|request| Arc::clone(&request.public_url));
    format!("{}{}", origin.as_deref().unwrap_or_default().trim_end_matches('/'), page.path())
}

/// The document that the server sends.
pub fn shell(lang: Lang) -> impl IntoView {
    const BOOT: &str = "import init, { hydrate } from '/pkg/web.js'; init({ module_or_path: '/pkg/web_bg.wasm' }).then(() => { hydrate(); document.documentElement.dataset.ready = ''; });";
    view! {
        <!DOCTYPE html>
        <html lang=lang.tag()>
            <head>
                <meta charset="utf-8"/>
                <meta name="viewport" content="width=device-width, initial-scale=1"/>
                <meta name="color-scheme" content="light dark"/>
                <link rel="icon" href="/pkg/icon.svg" type="image/svg+xml"/>
                <link rel="stylesheet" href="/pkg/main.css"/>
                <link rel="modulepreload" href="/pkg/web.js"/>
                <script type="module" inner_html=BOOT></script>
                <MetaTags/>
            </head>
            <body>
                <App/>
            </body>
        </html>
    }
}

/// The language that the document was written in.
fn document_lang() -> Lang {
    if cfg!(feature = "ssr") {
        return use_context::<Lang>().unwrap_or_default();
    }
    let root = document().document_element();
    root.and_then(|root| root.get_attribute("lang")).and_then(|tag| Lang::parse(&tag)).unwrap_or_default()
}

#[component]
pub fn App() -> impl IntoView {
    provide_meta_context();
    let lang = document_lang();
    provide_context(lang);
    let t = text();
    let (other, other_tag) = match lang {
        Lang::En => ("?lang=zh", "zh-CN"),
        Lang::Zh => ("?lang=en", "en"),
    };
    view! {
        <Title formatter=|title: String| if title.is_empty() { "Tessera".to_owned() } else { format!("{title} · Tessera") }/>
        <Router>
            <a class="skip" href="#content">{t.skip}</a>
            <header class="top">
                <nav aria-label=t.nav>
                    <a class="brand" href="/" rel="external"><img src="/pkg/icon.svg" alt="" width="28" height="28"/>"Tessera"</a>
                    <A href=Page::NewJob.path()>{t.run_a_job}</A>
                    <A href=Page::Lend.path()>{t.lend}</A>
                    <a href=other lang=other_tag hreflang=other_tag rel="external">{t.other_language}</a>
                </nav>
            </header>
            <main id="content">
                <Routes fallback=NotFound>
                    <Route path=path!("/jobs/new") view=NewJob ssr=SsrMode::Async/>
                    <Route path=path!("/jobs/:id") view=JobPage ssr=SsrMode::Async/>
                    <Route path=path!("/lend") view=LendPage ssr=SsrMode::Async/>
                    <Route path=path!("/explorer/jobs/:id") view=ExplorerJob ssr=SsrMode::Async/>
                </Routes>
            </main>
            <footer>{t.footer}</footer>
        </Router>
    }
}
