//! What a page knows of the request that asked for it.

use std::sync::Arc;

use leptos::prelude::{use_context, with_context};

use crate::route::Page;
use crate::text::Lang;

#[derive(Clone, Debug)]
pub struct Visit {
    /// `None` where the address has no page.
    pub page: Option<Page>,
    pub lang: Lang,
    /// The language was asked for, not guessed: links carry it on.
    pub lang_chosen: bool,
    /// Decoded parameters, in order.
    pub query: Vec<(String, String)>,
    /// The address people reach this server at, without a slash at its end.
    pub public_url: Arc<str>,
    pub assets: Assets,
}

/// Addresses of the site's files, with a version in each, so that browsers may keep them for good.
#[derive(Clone, Debug, Default)]
pub struct Assets {
    pub style: Arc<str>,
    pub theme_script: Arc<str>,
    pub page_script: Arc<str>,
    pub web_script: Arc<str>,
    pub web_wasm: Arc<str>,
    pub icon: Arc<str>,
}

impl Visit {
    /// The visit of the page being rendered.
    pub fn current() -> Option<Self> {
        use_context()
    }

    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.query
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
            .filter(|value| !value.is_empty())
    }

    /// The query of an API call or a link: the named parameters as they came, encoded (`?after=…&class=tab`), or
    /// nothing.
    pub fn forward_query(&self, names: &[&str]) -> String {
        let kept = self.query.iter().filter(|(key, value)| names.contains(&key.as_str()) && !value.is_empty());
        encode(kept.map(|(key, value)| (key.as_str(), value.as_str())))
    }

    /// A link to this page with one parameter set, and `keep` and the language as they are.
    pub fn link_with(&self, keep: &[&str], name: &str, value: &str) -> String {
        let kept = self
            .query
            .iter()
            .filter(|(key, value)| key != name && (keep.contains(&key.as_str()) || key == "lang") && !value.is_empty());
        let kept = kept.map(|(key, value)| (key.as_str(), value.as_str()));
        let set = std::iter::once((name, value)).filter(|(_, value)| !value.is_empty());
        let query = encode(kept.chain(set));
        format!("{}{query}", self.page.map(Page::path).unwrap_or_default())
    }

    /// The page's one address, whatever parameters it came with. Languages are pages of their own.
    pub fn canonical(&self, page: Page) -> String {
        self.absolute(&page.path(), self.lang)
    }

    pub fn absolute(&self, path: &str, lang: Lang) -> String {
        let query = if lang == Lang::En { "" } else { "?lang=zh" };
        format!("{}{path}{query}", self.public_url)
    }
}

fn encode<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    let mut any = false;
    for (key, value) in pairs {
        query.append_pair(key, value);
        any = true;
    }
    if any { format!("?{}", query.finish()) } else { String::new() }
}

/// A link to a page, in the language that this visit chose.
pub fn href(page: Page) -> String {
    format!("{}{}", page.path(), lang_query())
}

/// What a link to any page ends with, in the language that this visit chose.
pub fn lang_query() -> String {
    let chosen = with_context(|visit: &Visit| visit.lang_chosen.then_some(visit.lang));
    chosen
        .unwrap_or_else(crate::text::chosen_in_browser)
        .map_or_else(String::new, |lang| format!("?lang={}", lang.code()))
}

/// The same, with a parameter that has no character to encode.
pub fn href_with(page: Page, name: &str, value: impl std::fmt::Display) -> String {
    let link = href(page);
    let joint = if link.contains('?') { '&' } else { '?' };
    format!("{link}{joint}{name}={value}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn visit(query: &[(&str, &str)]) -> Visit {
        Visit {
            page: Some(Page::Devices),
            lang: Lang::En,
            lang_chosen: false,
            query: query.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
            public_url: "https://tessera.test".into(),
            assets: Assets::default(),
        }
    }

    #[test]
    fn parameters_are_passed_on_by_name_and_encoded() {
        let visit = visit(&[("class", "tab"), ("evil", "&x=1"), ("after", "1&limit=9"), ("lang", "zh")]);

        assert_eq!(visit.forward_query(&["class", "after"]), "?class=tab&after=1%26limit%3D9");
        assert_eq!(visit.link_with(&["class"], "after", "7"), "/explorer/devices?class=tab&lang=zh&after=7");
        assert_eq!(visit.link_with(&[], "class", ""), "/explorer/devices?lang=zh");
    }

    #[test]
    fn a_link_with_a_parameter_keeps_the_language_that_was_chosen() {
        let links = [false, true].map(|lang_chosen| {
            leptos::prelude::Owner::new().with(|| {
                leptos::prelude::provide_context(Visit { lang: Lang::Zh, lang_chosen, ..visit(&[]) });
                href_with(Page::NewJob, "from", 7)
            })
        });

        assert_eq!(links, ["/jobs/new?from=7", "/jobs/new?lang=zh&from=7"]);
    }

    #[test]
    fn the_canonical_address_has_no_parameters() {
        assert_eq!(visit(&[("after", "7")]).canonical(Page::Devices), "https://tessera.test/explorer/devices");
    }
}
