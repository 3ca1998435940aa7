//! Code that orders the job again.

use leptos::prelude::*;
use wire::Job;

use crate::browser::origin;
use crate::programs::program_of;
use crate::programs::repeat::Repeat;
use crate::text::text;

#[component]
pub(super) fn RepeatCode(
    /// The job.
    job: Job,
) -> impl IntoView {
    let t = text();
    // The address is the browser's to know.
    let codes = RwSignal::new(None::<[String; 3]>);
    Effect::new(move |_| {
        let program = program_of(&job.program);
        let files = program.order_files(&job.program, t);
        let (arguments, format) = (program.arguments(&job.program), program.format(&job));
        let repeat = Repeat { origin: &origin(), job: &job, files: &files, arguments, format };
        codes.set(Some([repeat.command(), repeat.python(), repeat.curl()]));
    });
    let code = |(id, label, code): (&'static str, &'static str, String)| {
        view! {
            <div class="code-title">
                <h3>{label}</h3>
                <button type="button" class="small" data-copy=id aria-label=format!("{} ({label})", t.site.copy)>{t.site.copy}</button>
            </div>
            <pre class="block" tabindex="0"><code id=id>{code}</code></pre>
        }
    };
    view! {
        <details class="card repeat">
            <summary><h2>{t.jobs.repeat}</h2></summary>
            <p class="soft">{t.jobs.repeat_hint}</p>
            {move || codes.get().map(|[command, python, curl]| {
                [
                    ("repeat-command", t.jobs.repeat_command, command),
                    ("repeat-python", "Python", python),
                    ("repeat-curl", "curl", curl),
                ].map(code).collect_view()
            })}
        </details>
    }
}
