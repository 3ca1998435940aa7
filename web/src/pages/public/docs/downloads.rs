//! The command and the worker, to take away.

use leptos::prelude::*;

use super::data::Download;
use crate::format;
use crate::text::text;
use crate::visit::Visit;

#[component]
pub(super) fn DownloadsText(
    /// By program and system.
    downloads: Vec<Download>,
) -> impl IntoView {
    let t = text();
    let url = Visit::current().map(|visit| visit.public_url).unwrap_or_default();
    let worker = format!("curl -fsSL {url}/install.sh | sh");
    let of = |program: &'static str| downloads.iter().filter(move |one| one.program == program);
    let has_worker = of("tessera-worker").next().is_some();
    let block = |one: &Download| {
        view! { <h3>{system_name(one)}</h3><pre tabindex="0"><code>{install(&url, one)}</code></pre> }
    };
    let commands: Vec<_> = of("tessera").map(block).collect();
    let commands = (!commands.is_empty()).then_some(commands);
    view! {
        <article class="prose">
            <h1>{t.docs.downloads}</h1>
            <p class="lead">{t.docs.downloads_lead}</p>
            {if downloads.is_empty() {
                view! { <p class="notice">{t.docs.no_downloads}</p> }.into_any()
            } else {
                view! { <Files downloads=downloads.clone()/> }.into_any()
            }}
            {commands.map(|commands| view! {
                <h2 id="command">{t.docs.install_command}</h2>
                <p>{t.docs.install_command_lead}</p>
                {commands}
                <p>{t.docs.on_path}</p>
            })}
            {has_worker.then(|| view! {
                <h2 id="worker">{t.docs.install_worker}</h2>
                <p>{t.docs.install_worker_lead}</p>
                <pre tabindex="0"><code>{worker}</code></pre>
            })}
            <h2 id="source">{t.docs.other_systems}</h2>
            <p>{t.docs.other_systems_lead}</p>
            <pre tabindex="0"><code>"cargo build --release --locked -p client -p worker"</code></pre>
        </article>
    }
}

fn system_name(one: &Download) -> String {
    let system = match one.system {
        "linux" => "Linux",
        "macos" => "macOS",
        _ => "Windows",
    };
    let processor = if one.processor == "x86_64" { "x86-64" } else { "ARM64" };
    format!("{system}, {processor}")
}

/// For a shell of its system: nothing is installed that is not what its checksum says.
fn install(url: &str, one: &Download) -> String {
    let Download { file, sha256, .. } = one;
    if one.system == "windows" {
        return format!(
            "curl.exe -fLO {url}/downloads/{file}; if ((Get-FileHash {file}).Hash -ne \"{sha256}\") {{ throw \"{file}: SHA-256\" }}; Move-Item -Force {file} tessera.exe; .\\tessera.exe --help"
        );
    }
    let check = if one.system == "macos" { "shasum -a 256" } else { "sha256sum" };
    format!(
        "curl -fLO {url}/downloads/{file} &&\n  echo \"{sha256}  {file}\" | {check} -c - &&\n  chmod +x {file} && mkdir -p ~/.local/bin &&\n  mv {file} ~/.local/bin/tessera &&\n  ~/.local/bin/tessera --help"
    )
}

#[component]
fn Files(
    /// By program and system.
    downloads: Vec<Download>,
) -> impl IntoView {
    let t = text();
    let row = |one: Download| {
        let what = if one.program == "tessera" { t.docs.the_command } else { t.docs.the_worker };
        view! {
            <tr>
                <td data-label=t.docs.program><a href=format!("/downloads/{}", one.file) download="">{what}</a></td>
                <td data-label=t.docs.system>{system_name(&one)}</td>
                <td data-label=t.docs.size class="number">{format::bytes(one.bytes)}</td>
                <td data-label="SHA-256" class="mono name">{one.sha256}</td>
            </tr>
        }
    };
    view! {
        <div class="scroll" tabindex="0" role="group" aria-label=t.docs.downloads>
            <table class="rows">
                <thead><tr><th scope="col">{t.docs.program}</th><th scope="col">{t.docs.system}</th><th scope="col" class="number">{t.docs.size}</th><th scope="col">"SHA-256"</th></tr></thead>
                <tbody>{downloads.into_iter().map(row).collect_view()}</tbody>
            </table>
        </div>
        <p><a href="/downloads/SHA256SUMS">"SHA256SUMS"</a></p>
    }
}
