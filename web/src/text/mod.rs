//! Every word on the screen, in both languages.

/// A subject's words, both languages side by side: a text that one of them lacks does not compile.
macro_rules! texts {
    ($subject:ident { $($name:ident: $en:literal, $zh:literal;)* }) => {
        pub struct $subject { $(pub $name: &'static str,)* }
        impl $subject {
            pub(super) const EN: Self = Self { $($name: $en,)* };
            pub(super) const ZH: Self = Self { $($name: $zh,)* };
        }
    };
}

mod account;
#[cfg(feature = "ssr")]
mod docs;
mod explorer;
mod hardware;
mod infer;
mod jobs;
mod landing;
mod lend;
mod map;
mod reasons;
mod refusals;
mod site;
#[cfg(feature = "ssr")]
mod status;

use leptos::prelude::*;
use wire::ErrorBody;

use self::account::AccountText;
#[cfg(feature = "ssr")]
use self::docs::DocsText;
use self::explorer::ExplorerText;
use self::infer::InferText;
use self::jobs::JobsText;
use self::landing::LandingText;
use self::lend::LendText;
use self::map::MapText;
use self::site::SiteText;
#[cfg(feature = "ssr")]
use self::status::StatusText;
use crate::format;

/// Every word, by subject.
pub struct Text {
    pub site: SiteText,
    pub landing: LandingText,
    pub jobs: JobsText,
    pub infer: InferText,
    pub map: MapText,
    pub lend: LendText,
    pub explorer: ExplorerText,
    pub account: AccountText,
    /// No island says any of these.
    #[cfg(feature = "ssr")]
    pub docs: DocsText,
    #[cfg(feature = "ssr")]
    pub status: StatusText,
}

static EN: Text = Text {
    site: SiteText::EN,
    landing: LandingText::EN,
    jobs: JobsText::EN,
    infer: InferText::EN,
    map: MapText::EN,
    lend: LendText::EN,
    explorer: ExplorerText::EN,
    account: AccountText::EN,
    #[cfg(feature = "ssr")]
    docs: DocsText::EN,
    #[cfg(feature = "ssr")]
    status: StatusText::EN,
};
static ZH: Text = Text {
    site: SiteText::ZH,
    landing: LandingText::ZH,
    jobs: JobsText::ZH,
    infer: InferText::ZH,
    map: MapText::ZH,
    lend: LendText::ZH,
    explorer: ExplorerText::ZH,
    account: AccountText::ZH,
    #[cfg(feature = "ssr")]
    docs: DocsText::ZH,
    #[cfg(feature = "ssr")]
    status: StatusText::ZH,
};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lang {
    #[default]
    En,
    Zh,
}

impl Lang {
    /// The tag of `<html lang>`.
    pub fn tag(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::Zh => "zh-CN",
        }
    }

    /// From a tag, or the first understood entry of an `Accept-Language` list.
    pub fn parse(text: &str) -> Option<Self> {
        text.split(',').find_map(|entry| match entry.trim().get(..2) {
            Some("en") => Some(Self::En),
            Some("zh") => Some(Self::Zh),
            _ => None,
        })
    }

    /// In addresses: `?lang=zh`.
    pub fn code(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::Zh => "zh",
        }
    }

    pub fn text(self) -> &'static Text {
        match self {
            Self::En => &EN,
            Self::Zh => &ZH,
        }
    }
}

/// The page's words.
pub fn text() -> &'static Text {
    use_context::<Lang>().unwrap_or_else(document_lang).text()
}

/// A text with the space that stands before the next one, where the language has one. As a text of its own an empty one
/// would be sent as a space.
pub fn spaced(said: &str) -> String {
    format!("{said}{}", text().site.gap)
}

/// The language that the document was written in; the browser knows it from there alone.
fn document_lang() -> Lang {
    thread_local! {
        static LANG: std::cell::OnceCell<Lang> = const { std::cell::OnceCell::new() };
    }
    if cfg!(not(target_arch = "wasm32")) {
        return Lang::default();
    }
    LANG.with(|lang| *lang.get_or_init(|| root_attribute("lang").and_then(|tag| Lang::parse(&tag)).unwrap_or_default()))
}

/// The language that this page's address chose, in the browser.
pub fn chosen_in_browser() -> Option<Lang> {
    if cfg!(not(target_arch = "wasm32")) {
        return None;
    }
    root_attribute("data-lang").and_then(|code| Lang::parse(&code))
}

fn root_attribute(name: &str) -> Option<String> {
    document().document_element()?.get_attribute(name)
}

/// So many tiles, in the reader's language.
pub fn tiles(value: u64) -> String {
    let t = text();
    format!("{} {}", format::count(value), if value == 1 { t.site.tile_unit } else { t.site.tiles_unit })
}

/// A refusal in the reader's language; the server's own words are English.
pub fn refusal(body: &ErrorBody) -> String {
    if std::ptr::eq(text(), Lang::Zh.text()) {
        return refusals::chinese(body);
    }
    body.message.clone()
}

/// A device's hardware in the reader's language.
pub fn hardware(name: &str) -> String {
    hardware_in(text(), name)
}

/// The same in the language of these words.
pub fn hardware_in(t: &'static Text, name: &str) -> String {
    if std::ptr::eq(t, Lang::Zh.text()) { hardware::chinese(name) } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_tile_is_no_plural() {
        assert_eq!([tiles(0), tiles(1), tiles(1_797)], ["0 tiles", "1 tile", "1,797 tiles"]);
    }

    #[test]
    fn the_first_language_that_is_understood_is_taken() {
        assert_eq!(Lang::parse("de-CH,zh-TW;q=0.9,en;q=0.8"), Some(Lang::Zh));
        assert_eq!(Lang::parse("en-GB"), Some(Lang::En));
        assert_eq!(Lang::parse("fr, 文"), None);
    }
}
