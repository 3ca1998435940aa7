//! A table on a page, where nothing changes its rows once they are sent: they are written down as they come, with no
//! tree of nodes between. The HTML is that of [`Table::live`], but for the comments by which an island finds its texts.

use std::fmt::Write as _;

use html_escape::{encode_double_quoted_attribute_to_string, encode_text_to_string};
use leptos::prelude::*;

use super::facts::{job_badge_class, receipt_badge_class};
use super::table::{Action, Cell, Column, NUMBER, Row, Table, dot, frame, online_text};
use crate::format;
use crate::text::{Text, text};
use crate::visit::lang_query;

/// About as long as a row is.
const ROW_BYTES: usize = 768;

impl<Rows: Iterator<Item = Row>> Table<Rows> {
    /// For a page.
    pub fn fixed(self) -> impl IntoView + use<Rows> {
        let Self { label, columns, rows, action } = self;
        let mut writer =
            Writer { html: String::with_capacity(rows.size_hint().0 * ROW_BYTES), t: text(), lang: lang_query() };
        let beginnings: Vec<String> = columns.iter().map(beginning).collect();
        rows.for_each(|row| writer.row(&beginnings, row, action));
        frame(label, &columns, action, view! { <tbody inner_html=writer.html></tbody> })
    }
}

struct Writer {
    html: String,
    t: &'static Text,
    /// What links end with, so that they keep the language.
    lang: String,
}

impl Writer {
    fn row(&mut self, beginnings: &[String], row: Row, action: Option<Action>) {
        self.html.push_str("<tr>");
        for (beginning, cell) in beginnings.iter().zip(row.cells) {
            self.html.push_str(beginning);
            self.content(cell);
            self.html.push_str("</td>");
        }
        if let Some((action, device)) = action.zip(row.device) {
            self.element("td", NUMBER, |writer| writer.html.push_str(&action(device).to_html()));
        }
        self.html.push_str("</tr>");
    }

    fn content(&mut self, cell: Cell) {
        match cell {
            Cell::Text(text) => self.text(&text),
            Cell::Link(page, text) => {
                self.html.push_str("<a href=\"");
                // A path has no character to be encoded.
                write!(self.html, "{page}").expect("writing to memory should not fail");
                self.html.push_str(&self.lang);
                self.html.push_str("\">");
                self.text(&text);
                self.html.push_str("</a>");
            }
            Cell::Soft(text) => self.element("span", "soft", |writer| writer.text(text)),
            Cell::Online(online) => {
                for part in ["<span><span aria-hidden=\"true\" class=\"", dot(online), "\"></span>"] {
                    self.html.push_str(part);
                }
                self.text(online_text(self.t, online));
                self.html.push_str("</span>");
            }
            Cell::Noted(name, note) => {
                self.html.push_str("<span>");
                self.text(&name);
                if let Some(note) = note {
                    self.html.push_str("<small>");
                    self.text(&note);
                    self.html.push_str("</small>");
                }
                self.html.push_str("</span>");
            }
            Cell::Time(time) => {
                let (iso, utc) = format::iso8601_and_utc(time);
                for part in ["<time datetime=\"", &iso, "\">", &utc, "</time>"] {
                    self.html.push_str(part);
                }
            }
            Cell::Job(state) => {
                for part in ["<span data-testid=\"state\" class=\"", job_badge_class(state), "\">"] {
                    self.html.push_str(part);
                }
                self.text(self.t.jobs.job_state(state));
                self.html.push_str("</span>");
            }
            Cell::Receipt(state) => {
                let said = self.t.explorer.receipt_state(state);
                self.element("span", receipt_badge_class(state), |writer| writer.text(said));
            }
        }
    }

    fn element(&mut self, name: &str, class: &str, content: impl FnOnce(&mut Self)) {
        for part in ["<", name, " class=\"", class, "\">"] {
            self.html.push_str(part);
        }
        content(self);
        for part in ["</", name, ">"] {
            self.html.push_str(part);
        }
    }

    fn text(&mut self, text: &str) {
        encode_text_to_string(text, &mut self.html);
    }
}

/// What stands before the content of a column's cells.
fn beginning(column: &Column) -> String {
    let mut html = String::from("<td data-label=\"");
    encode_double_quoted_attribute_to_string(column.label, &mut html);
    html.push('"');
    if let Some(class) = column.class {
        for part in [" class=\"", class, "\""] {
            html.push_str(part);
        }
    }
    html.push('>');
    html
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use wire::explorer::{PublicDevice, PublicReceipt, ReceiptState, Share};
    use wire::{DeviceId, JobId, JobState, LeaseId};

    use super::*;
    use crate::components::{Whose, device_table, receipt_table, share_table};
    use crate::route::Page;
    use crate::text::Lang;
    use crate::visit::{Assets, Visit};

    const HOSTILE: &str = "<script>\"x\" & 'y'</script> GPU, 2 threads";

    /// Both renderings of a table, as an island's and as a page's.
    #[track_caller]
    fn check<Rows: Iterator<Item = Row>>(lang: Lang, lang_chosen: bool, table: impl Fn() -> Table<Rows>) {
        let owner = Owner::new_root(Some(Arc::new(hydration_context::SsrSharedContext::new_islands())));
        let (live, fixed) = owner.with(|| {
            let assets = Assets::default();
            let visit = Visit {
                page: Some(Page::Devices),
                lang,
                lang_chosen,
                query: Vec::new(),
                public_url: "".into(),
                assets,
            };
            provide_context(lang);
            provide_context(visit);
            (table().live().to_html().replace("<!>", ""), table().fixed().to_html().replace("<!>", ""))
        });
        assert!(fixed.contains("<tbody><tr><td data-label="), "{fixed}");
        assert!(!fixed.contains("<script>"), "{fixed}");
        assert_eq!(fixed, live);
    }

    fn row(cell: Cell) -> Table<std::iter::Once<Row>> {
        let columns = vec![Column { label: "\"Name\" & <more>", class: Some("name") }];
        Table { label: "Rows", columns, rows: std::iter::once(Row::from([cell])), action: None }
    }

    #[test]
    fn every_kind_of_cell_is_on_a_page_as_it_is_in_an_island() {
        let link = || Cell::Link(Page::Device(DeviceId([7; 32])), HOSTILE.to_owned());
        for (lang, chosen) in [(Lang::En, false), (Lang::En, true), (Lang::Zh, true)] {
            check(lang, chosen, || row(link()));
            check(lang, chosen, || row(Cell::Link(Page::PublicJob(JobId::from_parts(1, [7; 10])), "a".to_owned())));
            check(lang, chosen, || row(Cell::Text(HOSTILE.into())));
            check(lang, chosen, || row(Cell::Soft("private & such")));
            check(lang, chosen, || row(Cell::Noted(HOSTILE.to_owned(), None)));
            check(lang, chosen, || row(Cell::Noted("a".to_owned(), Some(HOSTILE.to_owned()))));
            check(lang, chosen, || row(Cell::Time(1_795_372_807_000_000)));
            for online in [false, true] {
                check(lang, chosen, || row(Cell::Online(online)));
            }
            for state in ReceiptState::ALL {
                check(lang, chosen, || row(Cell::Receipt(state)));
            }
            for state in JobState::ALL {
                check(lang, chosen, || row(Cell::Job(state)));
            }
        }
    }

    #[test]
    fn a_table_is_on_a_page_as_it_is_in_an_island_with_what_can_be_done_with_its_rows() {
        let devices = || {
            let mut device: PublicDevice = serde_json::from_value(serde_json::json!({
                "id": DeviceId([3; 32]), "class": "native", "name": HOSTILE, "backend": "vulkan", "software": true,
                "online": true, "flops_per_sec": 5_000_000_000u64, "proved_ops_per_sec": 0, "proved_at": null,
                "down_bytes_per_sec": 0, "up_bytes_per_sec": 0, "tiles": 12_345, "kflop": 1, "checks_passed": 3,
                "checks_failed": 0, "suspended_until": null, "earned": 225, "first_seen_at": 1, "seen_at": 2
            }))
            .unwrap();
            let named = device.clone();
            (device.name, device.software) = (String::new(), false);
            vec![named, device]
        };
        let action: Action =
            |device| view! { <button data-device=device.to_string()>"Unlink & forget"</button> }.into_any();
        check(Lang::En, false, || device_table(devices(), None));
        check(Lang::Zh, true, || device_table(devices(), Some(action)));

        let receipt = |n: u8, job: Option<JobId>| PublicReceipt {
            lease: LeaseId([n; 16]),
            device: DeviceId([n; 32]),
            backend: "vulkan".to_owned(),
            program: "infer/1".to_owned(),
            tiles: 1,
            kflop: 151,
            state: ReceiptState::Pending,
            recomputed_tiles: 0,
            received_at: 1_795_372_807_000_000,
            job,
        };
        let receipts = || vec![receipt(1, None), receipt(2, Some(JobId::from_parts(1, [7; 10])))];
        check(Lang::En, true, || receipt_table(receipts(), Whose::Everyones));
        check(Lang::En, true, || receipt_table(receipts(), Whose::OneDevices));
        check(Lang::En, true, || receipt_table(receipts(), Whose::OneJobs(Vec::new())));
        let names = || vec![(DeviceId([2; 32]), HOSTILE.to_owned())];
        check(Lang::En, true, || receipt_table(receipts(), Whose::OneJobs(names())));
        let share = |n, name: &str| Share {
            device: DeviceId([n; 32]),
            name: name.to_owned(),
            backend: "vulkan".to_owned(),
            tiles: 1,
            receipts: 1,
            recomputed_tiles: 0,
            kflop: 1,
        };
        check(Lang::Zh, false, || share_table(vec![share(1, ""), share(2, HOSTILE)]));
    }
}
