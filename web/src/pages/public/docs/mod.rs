//! The documentation: guides, a search over their headings, and the API's reference. The server reads
//! Markdown and the API's description; what comes here is plain data.

pub mod data;
mod downloads;
mod reference;

use leptos::prelude::*;

use self::data::{Content, DocsData, Guide, Heading, Hit, Section};
use crate::document::Document;
use crate::route::{DocsPage, Page};
use crate::text::{Text, text};
use crate::visit::{Visit, href};

pub fn document(t: &'static Text, visit: &Visit, data: DocsData) -> Document {
    let DocsData { sections, content } = data;
    let lang = visit.lang;
    match content {
        Content::Guide(guide) => {
            let (title, description, written_in) = (guide.title.clone(), guide.description.clone(), guide.written_in);
            let headings = guide.headings.clone();
            let body = move || view! { <DocsFrame sections headings><GuideText guide/></DocsFrame> }.into_any();
            let document = Document::new(title, body).described(description);
            // The same text stands at the English address.
            if written_in == lang { document } else { document.unlisted() }
        }
        Content::Search { question, hits } => {
            let body =
                move || view! { <DocsFrame sections headings=Vec::new()><Hits question hits/></DocsFrame> }.into_any();
            Document::new(t.docs.search_title, body).unlisted()
        }
        Content::Reference(reference) => {
            let headings = reference::headings(&reference, t);
            let body = move || {
                view! { <DocsFrame sections headings><reference::ReferenceText reference=*reference/></DocsFrame> }
                    .into_any()
            };
            Document::new(t.docs.reference, body).described(t.docs.reference_lead)
        }
        Content::Downloads(downloads) => {
            let body = move || {
                view! { <DocsFrame sections headings=Vec::new()><downloads::DownloadsText downloads/></DocsFrame> }
                    .into_any()
            };
            Document::new(t.docs.downloads, body).described(t.docs.downloads_lead)
        }
    }
}

/// The text, and beside it the way to every other.
#[component]
fn DocsFrame(
    /// Every guide.
    sections: Vec<Section>,
    /// What this page's own part of the navigation leads to.
    headings: Vec<Heading>,
    /// The text.
    children: Children,
) -> impl IntoView {
    let t = text();
    view! {
        <div class="docs">
            <div class="docs-text">
                <p class="docs-jump"><a href="#docs-pages">{t.docs.pages}</a></p>
                {children()}
            </div>
            <nav class="docs-pages" id="docs-pages" aria-label=t.docs.docs>
                <DocsSearch/>
                <DocsList sections headings/>
            </nav>
        </div>
    }
}

#[component]
fn DocsSearch() -> impl IntoView {
    let t = text();
    let visit = Visit::current();
    let typed = visit.as_ref().and_then(|visit| visit.parameter("q")).unwrap_or_default().to_owned();
    let lang = visit.filter(|visit| visit.lang_chosen).map(|visit| visit.lang.code());
    view! {
        <form class="search" role="search" action=Page::Docs(DocsPage::Index).path() method="get">
            <label class="unseen" for="docs-search">{t.docs.search}</label>
            <input id="docs-search" type="search" name="q" value=typed maxlength="64" placeholder=t.docs.search autocomplete="off"/>
            {lang.map(|lang| view! { <input type="hidden" name="lang" value=lang/> })}
            <button type="submit" class="small">{t.site.search}</button>
        </form>
    }
}

#[component]
fn DocsList(
    /// Every guide.
    sections: Vec<Section>,
    /// Of this page.
    headings: Vec<Heading>,
) -> impl IntoView {
    let t = text();
    let here = Visit::current().and_then(|visit| visit.page);
    let own = move || {
        let line = |heading: &Heading| {
            view! { <li><a href=format!("#{}", heading.id)>{heading.text.clone()}</a></li> }
        };
        (!headings.is_empty()).then(|| view! { <ul>{headings.iter().map(line).collect_view()}</ul> })
    };
    let entry = |page: Page, title: String| {
        let is_here = here == Some(page);
        view! {
            <li>
                <a href=href(page) aria-current=is_here.then_some("page")>{title}</a>
                {is_here.then(&own)}
            </li>
        }
    };
    let section = |section: Section| {
        let entries = section.entries.into_iter().map(|one| entry(one.page, one.title)).collect_view();
        view! { <p class="docs-section">{section.title}</p><ul>{entries}</ul> }
    };
    view! {
        <ul>
            {entry(Page::Docs(DocsPage::Index), t.docs.docs.to_owned())}
            {entry(Page::Docs(DocsPage::Downloads), t.docs.downloads.to_owned())}
        </ul>
        {sections.into_iter().map(section).collect_view()}
        <p class="docs-section">{t.docs.api}</p>
        <ul>{entry(Page::Docs(DocsPage::Api), t.docs.reference.to_owned())}</ul>
    }
}

#[component]
fn GuideText(
    /// What it says.
    guide: Guide,
) -> impl IntoView {
    let t = text();
    let is_translated = Visit::current().is_none_or(|visit| visit.lang == guide.written_in);
    view! {
        {(!is_translated).then(|| view! { <p class="notice">{t.docs.in_english}</p> })}
        <article class="prose" lang=guide.written_in.tag()>
            <h1>{guide.title}</h1>
            <div inner_html=guide.html></div>
        </article>
    }
}

#[component]
fn Hits(
    /// As it was asked.
    question: String,
    /// In the order of the pages.
    hits: Vec<Hit>,
) -> impl IntoView {
    let t = text();
    let line = |hit: Hit| {
        let address = href(hit.page);
        match hit.heading {
            Some(Heading { id, text }) => {
                view! { <li><a href=format!("{address}#{id}")>{text}</a>" "<span class="soft">{hit.title}</span></li> }
                    .into_any()
            }
            None => view! { <li><a href=address>{hit.title}</a></li> }.into_any(),
        }
    };
    view! {
        <h1>{t.docs.search_title}</h1>
        {if hits.is_empty() {
            view! { <p>{t.docs.nothing_found}" “"{question}"”"</p> }.into_any()
        } else {
            view! { <p class="soft">"“"{question}"”"</p><ul class="hits">{hits.into_iter().map(line).collect_view()}</ul> }.into_any()
        }}
    }
}
