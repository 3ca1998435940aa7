use leptos::prelude::*;

use crate::api::Failure;
use crate::route::Page;
use crate::text::text;
use crate::visit::{Visit, href};

/// Links to the pages above this one.
#[component]
pub fn Breadcrumbs(
    /// The pages above, outermost first.
    parents: Vec<(&'static str, Page)>,
) -> impl IntoView {
    let link = |(label, page): (&'static str, Page)| view! { <li><a href=href(page)>{label}</a></li> };
    view! { <nav class="crumbs" aria-label=text().site.breadcrumbs><ol>{parents.into_iter().map(link).collect_view()}</ol></nav> }
}

/// In place of a list without entries: what is missing, and what to do about it.
#[component]
pub fn EmptyState(
    /// What is missing.
    title: &'static str,
    /// What to do.
    children: Children,
) -> impl IntoView {
    view! {
        <div class="empty">
            <div class="empty-mosaic" aria-hidden="true"><i></i><i></i><i></i><i></i><i></i><i></i></div>
            <h2>{title}</h2>
            <div>{children()}</div>
        </div>
    }
}

/// In place of a page whose data could not be read.
#[component]
pub fn FailureNotice(
    /// Why.
    failure: Failure,
) -> impl IntoView {
    let t = text();
    view! {
        <div class="notice bad" role="alert">
            <p>{failure.message()}</p>
            <p><a href="">{t.site.try_again}</a></p>
        </div>
    }
}

/// On to the next page of a table, and back to the first.
#[component]
pub fn Pager(
    /// Parameters that a page keeps.
    keep: &'static [&'static str],
    /// The name of the cursor's parameter.
    cursor: &'static str,
    /// Where the next page begins.
    next: Option<String>,
) -> impl IntoView {
    let t = text();
    let visit = Visit::current();
    let first = visit
        .as_ref()
        .filter(|visit| visit.parameter(cursor).is_some())
        .map(|visit| view! { <a class="button" href=visit.link_with(keep, cursor, "")>{t.site.first_page}</a> });
    let next = visit.as_ref().zip(next).map(
        |(visit, next)| view! { <a class="button" rel="next" href=visit.link_with(keep, cursor, &next)>{t.site.next_page}</a> },
    );
    (first.is_some() || next.is_some())
        .then(|| view! { <nav class="pager" aria-label=t.site.pages>{first}{next}</nav> })
}

/// The explorer's parts.
#[component]
pub fn ExplorerTabs() -> impl IntoView {
    let t = text();
    let here = Visit::current().and_then(|visit| visit.page);
    let tab = |page: Page, label: &'static str| {
        let class = if here == Some(page) { Some("page") } else { None };
        view! { <li><a href=href(page) aria-current=class>{label}</a></li> }
    };
    view! {
        <div class="explorer-bar">
            <nav class="tabs" aria-label=t.site.explorer>
                <ul>
                    {tab(Page::Explorer, t.explorer.overview)}
                    {tab(Page::Devices, t.site.devices)}
                    {tab(Page::PublicJobs, t.site.jobs)}
                    {tab(Page::Receipts, t.site.receipts)}
                </ul>
            </nav>
            <SearchBox/>
        </div>
    }
}

/// Searches devices, published jobs and receipts by the beginning of an id.
#[component]
pub fn SearchBox() -> impl IntoView {
    let t = text();
    let visit = Visit::current();
    let typed = visit.as_ref().and_then(|visit| visit.parameter("q")).unwrap_or_default().to_owned();
    let lang = visit.filter(|visit| visit.lang_chosen).map(|visit| visit.lang.code());
    view! {
        <form class="search" role="search" action=Page::Search.path() method="get">
            <label class="unseen" for="search">{t.explorer.search_ids}</label>
            <input id="search" type="search" name="q" value=typed maxlength="64" placeholder=t.explorer.search_hint autocomplete="off" spellcheck="false"/>
            {lang.map(|lang| view! { <input type="hidden" name="lang" value=lang/> })}
            <button type="submit">{t.site.search}</button>
        </form>
    }
}
