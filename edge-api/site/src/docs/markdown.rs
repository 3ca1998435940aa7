//! Markdown as plain data: a title, a description, headings to link to, and HTML. HTML that is written
//! in a text shows as text.

use pulldown_cmark::{CowStr, Event, HeadingLevel, Options, Parser, Tag, TagEnd, html};
use web::pages::docs::data::Heading;

pub(super) struct Rendered {
    pub(super) title: String,
    /// The text's first paragraph.
    pub(super) description: String,
    /// Those under the title, in order.
    pub(super) headings: Vec<Heading>,
    /// All but the title.
    pub(super) html: String,
}

fn parse(markdown: &str) -> Parser<'_> {
    Parser::new_ext(markdown, Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH)
}

/// `address` turns what a link says into where it leads.
pub(super) fn render(markdown: &str, address: impl Fn(&str) -> String) -> Rendered {
    let mut writer = Writer::default();
    for event in parse(markdown) {
        writer.take(event, &address);
    }
    let mut text = String::new();
    html::push_html(&mut text, writer.events.into_iter());
    Rendered { title: writer.title, description: writer.description, headings: writer.headings, html: text }
}

/// A few words of a description, as HTML without a paragraph around a single one.
pub(super) fn inline(markdown: &str) -> String {
    let rendered = render(markdown, str::to_owned).html;
    let single = rendered.trim().strip_prefix("<p>").and_then(|rest| rest.strip_suffix("</p>"));
    single.filter(|text| !text.contains("<p>")).map_or(rendered.clone(), str::to_owned)
}

#[derive(Default)]
struct Writer<'a> {
    events: Vec<Event<'a>>,
    title: String,
    description: String,
    headings: Vec<Heading>,
    /// The text of the heading or first paragraph that is being read.
    open: Option<String>,
    /// Where the events of that heading begin.
    heading_start: usize,
}

impl<'a> Writer<'a> {
    fn take(&mut self, event: Event<'a>, address: &impl Fn(&str) -> String) {
        if let (Some(open), Event::Text(text) | Event::Code(text)) = (&mut self.open, &event) {
            open.push_str(text);
        }
        if let (Some(open), Event::SoftBreak) = (&mut self.open, &event) {
            open.push(' ');
        }
        match event {
            Event::Html(text) | Event::InlineHtml(text) => self.events.push(Event::Text(text)),
            Event::Start(Tag::HtmlBlock) => self.events.push(Event::Start(Tag::Paragraph)),
            Event::End(TagEnd::HtmlBlock) => self.events.push(Event::End(TagEnd::Paragraph)),
            Event::Start(Tag::Heading { .. }) => {
                self.open = Some(String::new());
                self.heading_start = self.events.len();
            }
            Event::End(TagEnd::Heading(level)) => self.end_heading(level),
            Event::Start(Tag::Paragraph) if self.description.is_empty() && self.open.is_none() => {
                self.open = Some(String::new());
                self.events.push(event);
            }
            Event::End(TagEnd::Paragraph) if self.description.is_empty() => {
                self.description = self.open.take().unwrap_or_default();
                self.events.push(event);
            }
            // A wide table or a long line scrolls by itself, by keyboard too.
            Event::Start(Tag::Table(_)) => {
                let name = self.headings.last().map_or(self.title.as_str(), |heading| heading.text.as_str());
                let name = escape(name);
                self.push_html(format!("<div class=\"scroll\" tabindex=\"0\" role=\"group\" aria-label=\"{name}\">"));
                self.events.push(event);
            }
            Event::End(TagEnd::Table) => {
                self.events.push(event);
                self.push_html("</div>\n".to_owned());
            }
            Event::Start(Tag::CodeBlock(_)) => self.push_html("<pre tabindex=\"0\"><code>".to_owned()),
            Event::End(TagEnd::CodeBlock) => self.push_html("</code></pre>\n".to_owned()),
            Event::Start(Tag::Link { link_type, dest_url, title, id }) => {
                let dest_url = CowStr::from(address(&dest_url));
                self.events.push(Event::Start(Tag::Link { link_type, dest_url, title, id }));
            }
            other => self.events.push(other),
        }
    }

    fn end_heading(&mut self, level: HeadingLevel) {
        let text = self.open.take().unwrap_or_default();
        if level == HeadingLevel::H1 {
            self.events.truncate(self.heading_start);
            self.title = text;
            return;
        }
        let id = self.free_id(&text);
        let name = level.to_string();
        self.events.insert(self.heading_start, Event::Html(format!("<{name} id=\"{id}\">").into()));
        self.push_html(format!(
            " <a class=\"anchor\" href=\"#{id}\" aria-label=\"# {}\">#</a></{name}>\n",
            escape(&text)
        ));
        self.headings.push(Heading { id, text });
    }

    /// The heading's words, joined; a second heading of the same words gets a number.
    fn free_id(&self, text: &str) -> String {
        let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
        let id = words.collect::<Vec<_>>().join("-").to_lowercase();
        let is_free = |id: &str| self.headings.iter().all(|heading| heading.id != id);
        let mut numbered = (2..).map(|number| format!("{id}-{number}"));
        if is_free(&id) { id } else { numbered.find(|id| is_free(id)).unwrap_or_default() }
    }

    fn push_html(&mut self, html: String) {
        self.events.push(Event::Html(html.into()));
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;")
}

/// A link in a list of links.
pub(super) struct Entry {
    /// The heading that it stands under.
    pub(super) section: String,
    pub(super) target: String,
    /// What it is called.
    pub(super) text: String,
}

/// The links of a text, each with the heading above it.
pub(super) fn links(markdown: &str) -> Vec<Entry> {
    let (mut entries, mut section, mut in_heading, mut in_link) = (Vec::<Entry>::new(), String::new(), false, false);
    for event in parse(markdown) {
        match event {
            Event::Start(Tag::Heading { .. }) => {
                section.clear();
                in_heading = true;
            }
            Event::End(TagEnd::Heading(_)) => in_heading = false,
            Event::Text(text) | Event::Code(text) if in_heading => section.push_str(&text),
            Event::Start(Tag::Link { dest_url, .. }) => {
                entries.push(Entry { section: section.clone(), target: dest_url.into_string(), text: String::new() });
                in_link = true;
            }
            Event::End(TagEnd::Link) => in_link = false,
            Event::Text(text) | Event::Code(text) if in_link => {
                if let Some(entry) = entries.last_mut() {
                    entry.text.push_str(&text);
                }
            }
            _ => {}
        }
    }
    entries
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(markdown: &str) -> Rendered {
        render(markdown, |target| format!("to:{target}"))
    }

    #[test]
    fn a_text_is_a_title_a_description_headings_and_html() {
        let text =
            rendered("# Tiles\n\nA *tile* is\nwork.\n\n## How `it` is cut\n\nSee [here](a.md).\n\n## How it is cut\n");

        assert_eq!((text.title.as_str(), text.description.as_str()), ("Tiles", "A tile is work."));
        let ids: Vec<_> = text.headings.iter().map(|heading| heading.id.as_str()).collect();
        assert_eq!(ids, ["how-it-is-cut", "how-it-is-cut-2"]);
        assert!(!text.html.contains("Tiles") && text.html.contains("<h2 id=\"how-it-is-cut\">How <code>it</code>"));
        assert!(text.html.contains("<a href=\"to:a.md\">here</a>"), "{}", text.html);
    }

    #[test]
    fn html_in_a_text_shows_as_text() {
        for text in ["<script>alert(1)</script>", "before <b onclick=\"x\">it</b> after", "<div>\n\n*a*\n\n</div>"] {
            let html = rendered(text).html;

            assert!(!html.contains("<script") && !html.contains("<b ") && !html.contains("<div"), "{html}");
            assert!(html.contains("&lt;"), "{html}");
        }
    }

    #[test]
    fn an_inline_text_has_no_paragraph() {
        assert_eq!(inline("what `rows` says"), "what <code>rows</code> says");
        assert_eq!(inline("a\n\nb").matches("<p>").count(), 2);
    }
}
