//! A picture of a page for those who link to it: 1200 × 630, drawn from the page's own figures.

use std::sync::{Arc, LazyLock};

use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use resvg::{tiny_skia, usvg};
use web::api::{Api, Failure};
use web::components::short;
use web::format;
use web::route::Page;
use web::text::{Lang, Text};
use wire::number::to;
use xmlwriter::XmlWriter;

use crate::cache::PictureKey;
use crate::docs;
use crate::state::Site;

const WIDTH: u32 = 1200;
const HEIGHT: u32 = 630;
/// Letters of a line of the title; ideographs count twice.
const LINE: usize = 30;

/// What a picture says.
struct Picture {
    kind: String,
    title: String,
    figures: Vec<(&'static str, String)>,
    /// A digit a cell, from 0 to 9.
    mosaic: String,
}

pub(crate) async fn respond(site: &Site, page: Page, lang: Lang) -> Response {
    let publications = *site.shared.publications.borrow();
    let key = PictureKey { publications, path: page.path(), lang: lang.code() };
    let picture = site.pictures.get_with(key, draw(site, page, lang)).await;
    match picture {
        Some(bytes) => ([(CONTENT_TYPE, "image/png"), (CACHE_CONTROL, "public, max-age=300")], bytes).into_response(),
        None => (StatusCode::NOT_FOUND, [(CACHE_CONTROL, "no-store")]).into_response(),
    }
}

async fn draw(site: &Site, page: Page, lang: Lang) -> Option<Bytes> {
    let picture = compose(&site.api.client(None), page, lang).await.ok()??;
    // Drawing takes tens of milliseconds of a core, like a check, and takes its turn with them.
    let _turn = site.shared.cores.acquire().await.ok()?;
    tokio::task::spawn_blocking(move || rasterise(&svg(&picture))).await.ok()?
}

/// What the page's picture says. `None` for pages that have none.
async fn compose(api: &Api, page: Page, lang: Lang) -> Result<Option<Picture>, Failure> {
    let t = lang.text();
    let picture = match page {
        Page::PublicJob(id) => {
            let job = api.public_job(id).await?;
            Picture {
                kind: format!("{} · {}", t.site.job, t.jobs.job_state(job.state)),
                title: if job.name.is_empty() { short(&id) } else { job.name },
                figures: vec![
                    (t.site.verified, format!("{} / {}", format::count(job.verified_tiles), format::count(job.tiles))),
                    (t.site.devices, format::count(to(job.devices.len()))),
                    (t.site.cost, format!("{} {}", format::credits(job.cost), t.site.credits)),
                ],
                mosaic: job.mosaic,
            }
        }
        Page::Device(id) => {
            let page = api.public_device(id, "?limit=1").await?;
            let device = page.device;
            Picture {
                kind: format!("{} {}", t.site.device, short(&id)),
                title: device.name,
                figures: vec![
                    (t.site.speed, format::speed(device.flops_per_sec)),
                    (t.site.tiles_verified, format::count(device.tiles)),
                    (t.explorer.checks, format!("{} / {}", device.checks_passed, device.checks_failed)),
                ],
                mosaic: page.uptime.iter().map(|online| digit(*online, 86_400_000_000)).collect(),
            }
        }
        Page::Receipt(id) => {
            let receipt = api.receipt(id).await?.receipt;
            Picture {
                kind: format!("{} {}", t.explorer.receipt, short(&id)),
                title: t.explorer.receipt_state(receipt.state).to_owned(),
                figures: vec![
                    (t.site.tiles, format::count(receipt.tiles)),
                    (t.explorer.recomputed_short, format::count(receipt.recomputed_tiles)),
                    (t.site.device, short(&receipt.device)),
                ],
                mosaic: "9".repeat(to(receipt.tiles.min(512))),
            }
        }
        Page::Landing
        | Page::Explorer
        | Page::Devices
        | Page::PublicJobs
        | Page::Receipts
        | Page::Calculator
        | Page::Status => network(api, page, t).await?,
        Page::Docs(page) => Picture { title: docs::title(page, lang), ..network(api, Page::Landing, t).await? },
        Page::Search | Page::Jobs | Page::NewJob | Page::Job(_) | Page::Lend | Page::Account => return Ok(None),
    };
    Ok(Some(picture))
}

async fn network(api: &Api, page: Page, t: &'static Text) -> Result<Picture, Failure> {
    let overview = api.overview().await?;
    let title = match page {
        Page::Landing => t.landing.hero,
        Page::Devices => t.site.devices,
        Page::PublicJobs => t.explorer.published_jobs,
        Page::Receipts => t.site.receipts,
        Page::Calculator => t.site.calculator,
        Page::Status => t.status.title,
        _ => t.site.explorer,
    };
    let mut mosaic: String = overview.latest_leases.iter().map(|tiles| digit(*tiles, 16)).collect();
    while mosaic.len() < 240 {
        mosaic.push('0');
    }
    Ok(Picture {
        kind: t.site.tagline.to_owned(),
        title: title.to_owned(),
        figures: vec![
            (t.explorer.devices_online, format::count(overview.devices_online())),
            (t.explorer.measured_speed, format::speed(overview.flops_per_sec())),
            (t.explorer.tiles_today, format::count(overview.today.tiles)),
            (t.site.price, format::price(overview.price)),
        ],
        mosaic,
    })
}

/// A cell's shade: 0 for nothing, 9 for all of it.
fn digit(part: u64, whole: u64) -> char {
    let level = match part {
        0 => 0,
        part => (part.min(whole) * 9 / whole.max(1)).max(1),
    };
    char::from_digit(to(level), 10).expect("a level should be a digit")
}

fn svg(picture: &Picture) -> String {
    let mut xml = XmlWriter::new(xmlwriter::Options::default());
    xml.start_element("svg");
    xml.write_attribute("xmlns", "http://www.w3.org/2000/svg");
    xml.write_attribute_fmt("viewBox", format_args!("0 0 {WIDTH} {HEIGHT}"));
    rectangle(&mut xml, (0.0, 0.0, f64::from(WIDTH), f64::from(HEIGHT)), "#101413", 1.0);
    brand(&mut xml);
    label(&mut xml, &picture.kind, (80.0, 180.0), 30, "#a2b0ab", "400");
    let lines = wrap(&picture.title);
    for (i, line) in (0u8..).zip(&lines) {
        label(&mut xml, line, (80.0, 256.0 + f64::from(i) * 76.0), 64, "#eaf0ed", "700");
    }
    mosaic(&mut xml, &picture.mosaic, if lines.len() > 1 { 372.0 } else { 310.0 }, 490.0);
    for (i, (name, value)) in (0u8..).zip(&picture.figures) {
        let x = 80.0 + f64::from(i) * 1060.0 / 4.0 * if picture.figures.len() == 3 { 4.0 / 3.0 } else { 1.0 };
        let size = if picture.figures.len() > 3 { 30 } else { 36 };
        label(&mut xml, value, (x, 552.0), size, "#eaf0ed", "700");
        label(&mut xml, name, (x, 588.0), 22, "#a2b0ab", "400");
    }
    xml.end_element();
    xml.end_document()
}

fn rectangle(xml: &mut XmlWriter, (x, y, width, height): (f64, f64, f64, f64), fill: &str, opacity: f64) {
    xml.start_element("rect");
    for (name, value) in [("x", x), ("y", y), ("width", width), ("height", height), ("fill-opacity", opacity)] {
        xml.write_attribute_fmt(name, format_args!("{value:.2}"));
    }
    xml.write_attribute("fill", fill);
    xml.end_element();
}

fn label(xml: &mut XmlWriter, text: &str, (x, y): (f64, f64), size: u32, fill: &str, weight: &str) {
    xml.start_element("text");
    xml.write_attribute_fmt("x", format_args!("{x:.1}"));
    xml.write_attribute_fmt("y", format_args!("{y:.1}"));
    xml.write_attribute("font-family", "Inter");
    xml.write_attribute_fmt("font-size", format_args!("{size}"));
    xml.write_attribute("font-weight", weight);
    xml.write_attribute("fill", fill);
    let visible: String = text.chars().filter(|c| !c.is_control()).collect();
    xml.set_preserve_whitespaces(true);
    xml.write_text(&escape(&visible));
    xml.end_element();
    xml.set_preserve_whitespaces(false);
}

/// The writer leaves ampersands as they are.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
}

fn brand(xml: &mut XmlWriter) {
    let tiles = [(80.0, 64.0, "#37c698"), (106.0, 64.0, "#f2b84b"), (80.0, 90.0, "#e2725b"), (106.0, 90.0, "#37c698")];
    for (x, y, fill) in tiles {
        rectangle(xml, (x, y, 22.0, 22.0), fill, 1.0);
    }
    label(xml, "Tessera", (146.0, 102.0), 40, "#eaf0ed", "700");
}

/// The cells between two heights, as large as they fit.
fn mosaic(xml: &mut XmlWriter, cells: &str, top: f64, bottom: f64) {
    let count = cells.len().max(1);
    let (width, height) = (1040.0, bottom - top);
    // The fewest columns whose rows still fit.
    let columns = (1..=count).find(|&columns| {
        let side = width / real(columns);
        real(count.div_ceil(columns)) * side <= height
    });
    let columns = columns.unwrap_or(count);
    let side = (width / real(columns)).min(height / real(count.div_ceil(columns))).min(44.0);
    for (i, cell) in cells.bytes().enumerate() {
        let (x, y) = (80.0 + real(i % columns) * side, top + real(i / columns) * side);
        let level = f64::from(cell.saturating_sub(b'0'));
        let (fill, opacity) = if level == 0.0 { ("#252d2b", 1.0) } else { ("#37c698", 0.25 + 0.75 * level / 9.0) };
        rectangle(xml, (x, y, side * 0.88, side * 0.88), fill, opacity);
    }
}

#[expect(clippy::cast_precision_loss, reason = "a thousand cells at most")]
fn real(value: usize) -> f64 {
    value as f64
}

/// At most two lines, cut at spaces where there are any.
fn wrap(title: &str) -> Vec<String> {
    let width = |c: char| if u32::from(c) >= 0x2E80 { 2 } else { 1 };
    let mut lines = vec![String::new()];
    let mut used = 0;
    for word in title.split_inclusive(' ') {
        let word_width: usize = word.chars().map(width).sum();
        if used > 0 && used + word_width > LINE && word_width <= LINE {
            lines.push(String::new());
            used = 0;
        }
        for c in word.chars() {
            if used + width(c) > LINE {
                lines.push(String::new());
                used = 0;
            }
            lines.last_mut().expect("there should be a line").push(c);
            used += width(c);
        }
    }
    if lines.len() > 2 {
        lines.truncate(2);
        lines[1].push('…');
    }
    lines.into_iter().map(|line| line.trim_end().to_owned()).collect()
}

/// Inter for Latin, Greek and Cyrillic; what the system has for the rest.
static FONTS: LazyLock<Arc<usvg::fontdb::Database>> = LazyLock::new(|| {
    let mut fonts = usvg::fontdb::Database::new();
    fonts.load_font_data(include_bytes!("../assets/Inter-Regular.otf").to_vec());
    fonts.load_font_data(include_bytes!("../assets/Inter-Bold.otf").to_vec());
    fonts.load_system_fonts();
    Arc::new(fonts)
});

fn rasterise(svg: &str) -> Option<Bytes> {
    let options = usvg::Options { fontdb: Arc::clone(&FONTS), ..usvg::Options::default() };
    let tree = usvg::Tree::from_str(svg, &options).ok()?;
    let mut picture = tiny_skia::Pixmap::new(WIDTH, HEIGHT)?;
    resvg::render(&tree, tiny_skia::Transform::default(), &mut picture.as_mut());
    picture.encode_png().ok().map(Bytes::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(title: &str, mosaic: &str) -> Picture {
        Picture {
            kind: "Job".to_owned(),
            title: title.to_owned(),
            figures: vec![("Verified", "3 / 5".to_owned())],
            mosaic: mosaic.to_owned(),
        }
    }

    fn size(png: &[u8]) -> (u32, u32) {
        assert_eq!(&png[1..4], b"PNG");
        let number = |at: usize| u32::from_be_bytes(png[at..at + 4].try_into().unwrap());
        (number(16), number(20))
    }

    #[test]
    fn a_picture_is_drawn_whatever_the_name() {
        for name in [
            "Digits",
            "<script>&\"'</script>",
            "任务：识别一百万张图片的任务名称非常长非常长非常长非常长",
            "\u{0}\u{1b}",
            "",
        ] {
            let png = rasterise(&svg(&picture(name, "0123456789"))).unwrap_or_else(|| panic!("{name}"));

            assert_eq!(size(&png), (WIDTH, HEIGHT), "{name}");
        }
    }

    #[test]
    fn a_settled_cell_looks_other_than_an_empty_one() {
        let [empty, full] = ["0", "9"].map(|cells| rasterise(&svg(&picture("x", cells))).unwrap());

        assert_ne!(empty, full);
    }

    #[test]
    fn a_long_title_has_two_lines() {
        assert_eq!(wrap("A short one"), ["A short one"]);
        assert_eq!(wrap("Recognise ten thousand handwritten digits"), ["Recognise ten thousand", "handwritten digits"]);
        assert_eq!(wrap(&"x".repeat(100)).len(), 2);
    }
}
