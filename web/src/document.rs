//! The frame of every page: head, navigation, language, footer.

use leptos::prelude::*;

use crate::components::Icon;
use crate::islands::FirstKeyIsland;
use crate::route::{DocsPage, Page};
use crate::text::{Lang, text};
use crate::visit::{Visit, href};

/// A page whose data is loaded. `body` is called once, when the document is rendered.
pub struct Document {
    pub status: u16,
    pub title: String,
    pub description: String,
    /// Whether search engines may list it.
    pub indexed: bool,
    pub body: Box<dyn FnOnce() -> AnyView + Send>,
}

impl Document {
    pub fn new(title: impl Into<String>, body: impl FnOnce() -> AnyView + Send + 'static) -> Self {
        Self { status: 200, title: title.into(), description: String::new(), indexed: true, body: Box::new(body) }
    }

    pub fn described(mut self, description: impl Into<String>) -> Self {
        self.description = description.into();
        self
    }

    /// Kept from search engines.
    pub fn unlisted(mut self) -> Self {
        self.indexed = false;
        self
    }

    pub fn with_status(mut self, status: u16) -> Self {
        self.status = status;
        self.indexed = false;
        self
    }
}

/// The document as HTML.
pub fn render(document: Document, visit: Visit) -> String {
    use std::sync::Arc;

    let owner = Owner::new_root(Some(Arc::new(hydration_context::SsrSharedContext::new_islands())));
    owner.with(move || {
        provide_context(visit.lang);
        provide_context(visit.clone());
        shell(document, &visit).to_html()
    })
}

fn shell(document: Document, visit: &Visit) -> impl IntoView + use<> {
    let t = text();
    let Document { status, title, description, indexed, body } = document;
    let full_title =
        if title.is_empty() { format!("Tessera: {}", t.site.tagline) } else { format!("{title} · Tessera") };
    let description = if description.is_empty() { t.site.site_description.to_owned() } else { description };
    let page = visit.page.filter(|_| status == 200);
    let assets = visit.assets.clone();
    view! {
        <!DOCTYPE html>
        <html lang=visit.lang.tag() data-lang=visit.lang_chosen.then(|| visit.lang.code())>
            <head>
                <meta charset="utf-8"/>
                <meta name="viewport" content="width=device-width, initial-scale=1"/>
                <meta name="color-scheme" content="light dark"/>
                // Not as a child: Leptos writes comment nodes between texts, which a title would show as they are.
                <title inner_html=html_escape::encode_text(&full_title).into_owned()></title>
                <meta name="description" content=description.clone()/>
                {(!indexed || page.is_none_or(|page| !page.is_public())).then(|| view! { <meta name="robots" content="noindex"/> })}
                {page.filter(|page| page.is_public()).map(|page| preview_tags(page, visit, &full_title, &description))}
                <link rel="icon" href=assets.icon.to_string() type="image/svg+xml"/>
                <script src=assets.theme_script.to_string()></script>
                <link rel="stylesheet" href=assets.style.to_string()/>
                <script type="module" id="page-script" src=assets.page_script.to_string()
                    data-web=assets.web_script.to_string() data-wasm=assets.web_wasm.to_string()></script>
            </head>
            <body>
                <a class="skip" href="#content">{t.site.skip}</a>
                <Header visit=visit.clone()/>
                <main id="content" tabindex="-1">
                    {visit.page.filter(|page| page.needs_scripts()).map(|_| view! { <noscript><p class="notice">{t.site.needs_scripts}</p></noscript> })}
                    {visit.page.filter(|page| !page.is_public()).map(|_| view! { <FirstKeyIsland/> })}
                    {body()}
                </main>
                <Footer/>
                <div id="toasts" role="status" aria-live="polite"></div>
            </body>
        </html>
    }
}

/// Open Graph and canonical-address tags of a public page.
fn preview_tags(page: Page, visit: &Visit, title: &str, description: &str) -> impl IntoView + use<> {
    let url = visit.canonical(page);
    let picture = page.has_preview().then(|| {
        let path = if page == Page::Landing { "/index.png".to_owned() } else { format!("{}.png", page.path()) };
        visit.absolute(&path, visit.lang)
    });
    let alternates = [Lang::En, Lang::Zh].map(|lang| (lang.tag(), visit.absolute(&page.path(), lang)));
    let og = |property: &'static str, content: String| leptos::html::meta().attr("property", property).content(content);
    view! {
        <link rel="canonical" href=url.clone()/>
        {alternates.map(|(tag, href)| view! { <link rel="alternate" hreflang=tag href=href/> }).collect_view()}
        {og("og:type", "website".to_owned())}
        {og("og:site_name", "Tessera".to_owned())}
        {og("og:title", title.to_owned())}
        {og("og:description", description.to_owned())}
        {og("og:url", url)}
        {picture.map(|picture| view! {
            {og("og:image", picture.clone())}
            {og("og:image:width", "1200".to_owned())}
            {og("og:image:height", "630".to_owned())}
            <meta name="twitter:card" content="summary_large_image"/>
            <meta name="twitter:image" content=picture/>
        })}
    }
}

#[component]
fn Header(
    /// The request.
    visit: Visit,
) -> impl IntoView {
    let t = text();
    let (other, other_tag, other_lang) = match visit.lang {
        Lang::En => ("中文", "zh-CN", "zh"),
        Lang::Zh => ("English", "en", "en"),
    };
    let keep: Vec<String> = visit.query.iter().map(|(key, _)| key.clone()).collect();
    let keep: Vec<&str> = keep.iter().map(String::as_str).collect();
    let other_href = visit.link_with(&keep, "lang", other_lang);
    let current = visit.page;
    // What a page is called, and where there is little room.
    let link = |page: Page, (wide, narrow): (&'static str, &'static str), is_current: bool| {
        let shorter = (wide != narrow).then_some(narrow);
        view! { <a href=href(page) aria-current=is_current.then_some("page") aria-label=shorter.map(|_| wide) data-narrow=shorter>{wide}</a> }
    };
    let in_explorer = current.is_some_and(|page| page.path().starts_with("/explorer"));
    let in_jobs = matches!(current, Some(Page::Jobs | Page::Job(_)));
    view! {
        <header class="top">
            <nav aria-label=t.site.nav>
                <a class="brand" href=href(Page::Landing)><Icon name="brand"/>"Tessera"</a>
                <span class="pages">
                    {link(Page::NewJob, (t.site.run_a_job, t.site.run_short), current == Some(Page::NewJob))}
                    {link(Page::Jobs, (t.site.jobs, t.site.jobs), in_jobs)}
                    {link(Page::Lend, (t.site.lend, t.site.lend_short), current == Some(Page::Lend))}
                    {link(Page::Explorer, (t.site.explorer, t.site.explorer), in_explorer)}
                    {link(Page::Docs(DocsPage::Index), (t.docs.docs_short, t.docs.docs_short), matches!(current, Some(Page::Docs(_))))}
                    {link(Page::Account, (t.site.account, t.site.account), current == Some(Page::Account))}
                </span>
                <span class="tools">
                    <a href=other_href lang=other_tag hreflang=other_tag data-lang-link=other_lang>{other}</a>
                    <button type="button" class="quiet" data-theme-button aria-label=t.site.switch_theme title=t.site.switch_theme><Icon name="theme"/></button>
                </span>
            </nav>
        </header>
    }
}

#[component]
fn Footer() -> impl IntoView {
    let t = text();
    view! {
        <footer>
            <p>{t.site.footer}</p>
            <nav aria-label=t.site.more>
                <a href=href(Page::Calculator)>{t.site.calculator}</a>
                <a href=href(Page::Devices)>{t.site.devices}</a>
                <a href=href(Page::Receipts)>{t.site.receipts}</a>
                <a href=href(Page::Docs(DocsPage::Index))>{t.docs.docs}</a>
                <a href=href(Page::Docs(DocsPage::Api))>{t.docs.api}</a>
                <a href=href(Page::Status)>{t.status.title}</a>
            </nav>
        </footer>
    }
}
