//! The beginning of a job's result: a table, its classes, a picture.

use std::time::Duration;

use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::{ClassCount, JobId, JobPreview, JobProgress, JobState, OutputPreview, PreviewRow};

use crate::api::{self, Api, Failure};
use crate::format;
use crate::text::{Text, text};

/// Before what could not be read is asked for again.
const AGAIN_AFTER: Duration = Duration::from_secs(5);

#[component]
pub(super) fn ResultPreview(
    /// The job.
    progress: RwSignal<JobProgress>,
) -> impl IntoView {
    let t = text();
    let preview = RwSignal::new(None::<JobPreview>);
    let id = progress.with_untracked(|progress| progress.job.id);
    // Read once something is verified, once more at the end, and again where that failed.
    let stage = Memo::new(move |_| progress.with(|p| (p.job.verified_tiles > 0, p.job.state.has_ended())));
    let failures = RwSignal::new(0_u32);
    let asked = StoredValue::new(0_u32);
    Effect::new(move |_| {
        failures.track();
        if !stage.get().0 {
            return;
        }
        let number = asked.with_value(|asked| asked + 1);
        asked.set_value(number);
        spawn_local(async move {
            let read = Api::default().job_preview(id).await;
            // An answer that comes after that to a later question says what was before.
            if asked.try_with_value(|asked| *asked == number) != Some(true) {
                return;
            }
            match read {
                Ok(read) => {
                    preview.try_set(Some(read));
                }
                // What was refused is refused the next time, too.
                Err(Failure::Refused { status, .. }) if (400..500).contains(&status) && status != 429 => {}
                // Until then the page has all else to show.
                Err(_failure) => {
                    set_timeout(
                        move || failures.try_update(|failures| *failures += 1).unwrap_or_default(),
                        AGAIN_AFTER,
                    );
                }
            }
        });
    });
    move || {
        let read = preview.get().filter(|read| read.rows > 0)?;
        let (of_all, is_done) = progress.with_untracked(|p| (p.job.rows, p.job.state == JobState::Done));
        let rows = format!("{}{}", verified_rows(t, read.rows, of_all), t.site.gap);
        let outputs = read.outputs.into_iter().enumerate();
        Some(view! {
            <section class="card" aria-labelledby="preview-title" data-testid="preview">
                <h2 id="preview-title">{t.jobs.preview}</h2>
                <p class="soft">{rows} {is_done.then_some(t.jobs.all_in_download)}</p>
                {outputs.map(|(place, output)| view! { <Output id place output/> }).collect_view()}
            </section>
        })
    }
}

/// Of which rows the figures and pictures are.
fn verified_rows(t: &'static Text, rows: u64, of_all: u64) -> String {
    let said = if rows == of_all { t.jobs.all_rows_verified } else { t.jobs.first_rows_verified };
    said.replace("{rows}", &format::count(rows))
}

#[component]
fn Output(
    /// The job.
    id: JobId,
    /// Of the output, counted from zero.
    place: usize,
    /// Its beginning.
    output: OutputPreview,
) -> impl IntoView {
    let OutputPreview { name, dtype, shape, first, classes, pictures } = output;
    let shape: Vec<String> = shape.iter().map(ToString::to_string).collect();
    let kind = format!("{dtype} [{}]", shape.join(", "));
    let t = text();
    let picture = |row: u64| {
        let label = format!("{name}{}{} {}", t.site.comma, t.jobs.row, format::count(row));
        view! { <img src=api::picture_path(id, place, row) alt=label loading="lazy"/> }
    };
    view! {
        <h3>{name.clone()} " " <small class="soft mono">{kind}</small></h3>
        {(pictures > 0).then(|| view! { <div class="pictures">{(0..pictures).map(picture).collect_view()}</div> })}
        {(!classes.is_empty()).then(|| view! { <Classes classes/> })}
        // Of pixels a table says nothing.
        {(pictures == 0).then(|| view! { <Rows name=name.clone() first/> })}
    }
}

/// How many rows there are of each class, as bars.
#[component]
fn Classes(
    /// Most first.
    classes: Vec<ClassCount>,
) -> impl IntoView {
    let t = text();
    let most = classes.iter().map(|count| count.rows).max().unwrap_or(1).to_string();
    let row = |count: ClassCount| {
        let label = format!("{} {}", t.jobs.class, count.class);
        view! {
            <tr>
                <th scope="row">{label.clone()}</th>
                <td class="bar"><meter min="0" max=most.clone() value=count.rows.to_string() aria-label=label></meter></td>
                <td class="number">{format::count(count.rows)}</td>
            </tr>
        }
    };
    view! {
        <table class="classes">
            <caption>{t.jobs.classes}</caption>
            <tbody>{classes.into_iter().map(row).collect_view()}</tbody>
        </table>
    }
}

#[component]
fn Rows(
    /// Of the output.
    name: String,
    /// Its first rows.
    first: Vec<PreviewRow>,
) -> impl IntoView {
    let t = text();
    let row = |row: PreviewRow| {
        let values = row.values.into_iter().map(|value| view! { <td class="number">{format::value(&value)}</td> });
        view! { <tr><th scope="row" class="number">{format::count(row.row)}</th>{values.collect_view()}</tr> }
    };
    view! {
        <div class="scroll" tabindex="0" role="group" aria-label=name>
            <table class="values mono">
                <caption>{t.jobs.first_rows}</caption>
                <tbody>{first.into_iter().map(row).collect_view()}</tbody>
            </table>
        </div>
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::Lang;

    #[test]
    fn all_rows_are_not_called_the_first_ones() {
        let said = |rows| verified_rows(Lang::En.text(), rows, 1797);

        assert_eq!(said(1797), "All 1,797 rows are verified.");
        assert_eq!(said(1024), "The first 1,024 rows are verified.");
    }
}
