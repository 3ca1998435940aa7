//! The documentation: guides from Markdown, and the API's reference from its description.

mod markdown;
mod reference;

use std::sync::LazyLock;

use web::pages::docs::data::{Content, DocsData, Guide, Heading, Hit, Section, SectionEntry};
use web::route::{DocsPage, Page};
use web::text::Lang;
use web::visit::Visit;

use crate::programs;
use crate::state::Site;

/// Each Markdown file's name and text.
static FILES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/docs.rs"));
/// Named after the last part of its folder's address.
const INDEX: &str = "README.md";
const HITS_MAX: usize = 50;
/// Longer questions find nothing.
const QUESTION_MAX: usize = 64;

/// A guide in the languages that it is written in.
struct Source {
    /// Its address under `/docs/`; empty for the first page.
    slug: &'static str,
    file: &'static str,
    en: Text,
    zh: Option<Text>,
}

struct Text {
    markdown: &'static str,
    title: String,
    headings: Vec<Heading>,
}

static SOURCES: LazyLock<Vec<Source>> = LazyLock::new(|| {
    let in_chinese = |stem: &str| FILES.iter().find(|(name, _)| name.strip_suffix(".zh.md") == Some(stem));
    let source = |&(file, en): &(&'static str, &'static str)| {
        let zh = file.strip_suffix(".md").and_then(in_chinese).map(|&(_, zh)| Text::new(zh));
        Source { slug: slug_of(file), file, en: Text::new(en), zh }
    };
    FILES.iter().filter(|(file, _)| !file.ends_with(".zh.md")).map(source).collect()
});

impl Text {
    fn new(markdown: &'static str) -> Self {
        let rendered = markdown::render(markdown, str::to_owned);
        Self { markdown, title: rendered.title, headings: rendered.headings }
    }
}

/// `concepts/tiles.md` is `concepts/tiles`, `decisions/README.md` is `decisions`.
fn slug_of(file: &'static str) -> &'static str {
    let stem = file.strip_suffix(".md").unwrap_or(file);
    let stem = stem.strip_suffix(".zh").unwrap_or(stem);
    stem.strip_suffix("README").map_or(stem, |folder| folder.trim_end_matches('/'))
}

impl Source {
    fn page(&self) -> Page {
        Page::Docs(if self.slug.is_empty() { DocsPage::Index } else { DocsPage::Guide(self.slug) })
    }

    /// In the reader's language, or in English.
    fn text(&self, lang: Lang) -> &Text {
        self.zh.as_ref().filter(|_| lang == Lang::Zh).unwrap_or(&self.en)
    }

    fn render(&self, lang: Lang, chosen: bool) -> Guide {
        let suffix = if chosen { format!("?lang={}", lang.code()) } else { String::new() };
        let rendered = markdown::render(self.text(lang).markdown, |target| address(self.file, target, &suffix));
        Guide {
            title: rendered.title,
            description: rendered.description,
            headings: rendered.headings,
            html: rendered.html,
            written_in: if self.zh.is_some() { lang } else { Lang::En },
        }
    }
}

/// The page at a path below `/docs/`.
pub(crate) fn find(path: &str) -> Option<Page> {
    let slug = path.strip_prefix("/docs/").filter(|slug| !slug.is_empty())?;
    SOURCES.iter().find(|source| source.slug == slug).map(Source::page)
}

/// What a picture of a page is called.
pub(crate) fn title(page: DocsPage, lang: Lang) -> String {
    let t = lang.text();
    match page {
        DocsPage::Index => t.docs.docs.to_owned(),
        DocsPage::Api => t.docs.reference.to_owned(),
        DocsPage::Downloads => t.docs.downloads.to_owned(),
        DocsPage::Guide(slug) => {
            let source = SOURCES.iter().find(|source| source.slug == slug);
            source.map(|source| source.text(lang).title.clone()).unwrap_or_default()
        }
    }
}

/// Every page with the languages it is written in, for the site's map. Whether it is translated.
pub(crate) fn pages() -> impl Iterator<Item = (Page, bool)> {
    let others = [(Page::Docs(DocsPage::Downloads), true), (Page::Docs(DocsPage::Api), false)];
    SOURCES.iter().map(|source| (source.page(), source.zh.is_some())).chain(others)
}

/// Where a link in a file leads. What is no Markdown of ours stays as it is.
fn address(file: &str, target: &str, suffix: &str) -> String {
    let (path, anchor) = target.split_once('#').map_or((target, String::new()), |(path, id)| (path, format!("#{id}")));
    match resolve(file, path) {
        Some(source) if path.ends_with(".zh.md") => format!("{}?lang=zh{anchor}", source.page().path()),
        Some(source) => format!("{}{suffix}{anchor}", source.page().path()),
        None => target.to_owned(),
    }
}

/// The guide that a relative path names, seen from a file.
fn resolve(file: &str, path: &str) -> Option<&'static Source> {
    let mut parts: Vec<&str> = file.split('/').collect();
    parts.pop();
    for part in path.split('/') {
        match part {
            "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    let (name, _) = FILES.iter().find(|(name, _)| *name == parts.join("/"))?;
    SOURCES.iter().find(|source| source.slug == slug_of(name))
}

/// The first page's lists of links, as a navigation.
fn sections(lang: Lang) -> Vec<Section> {
    let mut sections: Vec<Section> = Vec::new();
    let Some(index) = SOURCES.iter().find(|source| source.slug.is_empty()) else { return sections };
    for link in markdown::links(index.text(lang).markdown) {
        let Some(source) = resolve(INDEX, &link.target).filter(|_| !link.target.ends_with(".zh.md")) else { continue };
        // A page that is not written in the reader's language is called what the list of links calls it.
        let is_written = lang == Lang::En || source.zh.is_some();
        let title = if is_written { source.text(lang).title.clone() } else { link.text };
        let entry = SectionEntry { title, page: source.page() };
        match sections.last_mut().filter(|section| section.title == link.section) {
            Some(section) => section.entries.push(entry),
            None => sections.push(Section { title: link.section, entries: vec![entry] }),
        }
    }
    sections
}

/// Headings that have every word of a question in them or in their page's title.
fn search(question: &str, lang: Lang) -> Vec<Hit> {
    let words: Vec<String> = question.to_lowercase().split_whitespace().map(str::to_owned).collect();
    if words.is_empty() || question.chars().count() > QUESTION_MAX {
        return Vec::new();
    }
    let fits = |text: &str| words.iter().all(|word| text.contains(word.as_str()));
    let mut hits = Vec::new();
    for source in SOURCES.iter() {
        let text = source.text(lang);
        let hit = |heading: Option<Heading>| Hit { page: source.page(), title: text.title.clone(), heading };
        let title = text.title.to_lowercase();
        if fits(&title) {
            hits.push(hit(None));
        }
        let own = |heading: &&Heading| {
            let line = heading.text.to_lowercase();
            words.iter().any(|word| line.contains(word.as_str())) && fits(&format!("{title} {line}"))
        };
        hits.extend(text.headings.iter().filter(own).map(|heading| hit(Some(heading.clone()))));
    }
    hits.truncate(HITS_MAX);
    hits
}

/// What a page of the documentation shows. `None` where there is no such page.
pub(crate) async fn load(page: DocsPage, visit: &Visit, site: &Site) -> Option<DocsData> {
    let sections = sections(visit.lang);
    let content = match (page, visit.parameter("q")) {
        (DocsPage::Index, Some(question)) => {
            Content::Search { question: question.to_owned(), hits: search(question, visit.lang) }
        }
        (DocsPage::Api, _) => Content::Reference(Box::new(reference::load(&site.api).await?)),
        (DocsPage::Downloads, _) => Content::Downloads(programs::list(&site.programs).await),
        (DocsPage::Index | DocsPage::Guide(_), _) => {
            let slug = if let DocsPage::Guide(slug) = page { slug } else { "" };
            let source = SOURCES.iter().find(|source| source.slug == slug)?;
            Content::Guide(source.render(visit.lang, visit.lang_chosen))
        }
    };
    Some(DocsData { sections, content })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_link_between_files_leads_to_a_page() {
        for (name, text) in FILES {
            for link in markdown::links(text) {
                let path = link.target.split('#').next().unwrap_or_default();
                let is_ours = !link.target.contains("://") && !path.is_empty();
                assert!(!is_ours || resolve(name, path).is_some(), "{name} links to {path}");
            }
        }
    }

    #[test]
    fn every_anchor_of_a_link_is_a_heading() {
        for source in SOURCES.iter() {
            for link in markdown::links(source.en.markdown) {
                let Some((path, anchor)) = link.target.split_once('#') else { continue };
                let target = if path.is_empty() { Some(source) } else { resolve(source.file, path) };
                let Some(target) = target else { continue };
                assert!(
                    target.en.headings.iter().any(|heading| heading.id == anchor),
                    "{}: {}",
                    source.slug,
                    link.target
                );
            }
        }
    }

    #[test]
    fn every_guide_can_be_reached_from_the_first_page() {
        let mut reached = vec![""];
        let mut next = 0;
        while let Some(&slug) = reached.get(next) {
            let source = SOURCES.iter().find(|source| source.slug == slug).unwrap();
            for link in markdown::links(source.en.markdown) {
                let path = link.target.split('#').next().unwrap_or_default();
                if let Some(found) = resolve(source.file, path)
                    && !reached.contains(&found.slug)
                {
                    reached.push(found.slug);
                }
            }
            next += 1;
        }
        for source in SOURCES.iter() {
            assert!(reached.contains(&source.slug), "nothing leads to {}", source.slug);
        }
    }

    #[test]
    fn every_guide_has_a_title_and_a_description() {
        for source in SOURCES.iter() {
            for lang in [Lang::En, Lang::Zh] {
                let guide = source.render(lang, true);
                assert!(!guide.title.is_empty() && !guide.description.is_empty(), "{}", source.slug);
            }
        }
    }

    #[test]
    fn links_are_rewritten_from_where_they_stand() {
        let first = SOURCES.iter().find(|source| source.slug == "get-started").unwrap();

        assert_eq!(address("README.md", "get-started.md#start", "?lang=en"), "/docs/get-started?lang=en#start");
        assert_eq!(address("README.md", "get-started.zh.md", ""), "/docs/get-started?lang=zh");
        assert_eq!(address("a/b.md", "../README.md", ""), "/docs");
        assert_eq!(address("a/b.md", "../../outside.md", ""), "../../outside.md");
        assert_eq!(address("a/b.md", "https://tessera.test", ""), "https://tessera.test");
        assert!(first.zh.is_some(), "the first page is there in both languages");
    }

    #[test]
    fn a_question_finds_headings_by_all_of_its_words() {
        let hits = search("GET started", Lang::En);

        assert!(hits.iter().any(|hit| hit.heading.is_none() && hit.page.path() == "/docs/get-started"));
        assert!(search("", Lang::En).is_empty());
        assert!(search("zzzz started", Lang::En).is_empty());
    }
}
