//! The API's reference: every operation with what it takes, answers and refuses; then every schema.

use leptos::prelude::*;

use super::data::{Answer, Body, Heading, Kind, Operation, Parameter, Reference, Refusal, Schema, SchemaField, Tag};
use crate::text::{Text, text};

/// The parts of the page.
pub(super) fn headings(reference: &Reference, t: &Text) -> Vec<Heading> {
    let tags = reference.tags.iter().map(|tag| Heading { id: tag.name.clone(), text: tag.description.clone() });
    tags.chain([Heading { id: "schemas".to_owned(), text: t.docs.schemas.to_owned() }]).collect()
}

#[component]
pub(super) fn ReferenceText(
    /// What it says.
    reference: Reference,
) -> impl IntoView {
    let t = text();
    let Reference { introduction, tags, schemas } = reference;
    let contents = |tag: &Tag| {
        let line = |operation: &Operation| {
            view! {
                <tr>
                    <td><span class="method">{operation.method.clone()}</span></td>
                    <td class="mono"><a href=format!("#{}", operation.id)>{operation.path.clone()}</a></td>
                    <td class="name">{operation.summary.clone()}</td>
                </tr>
            }
        };
        tag.operations.iter().map(line).collect_view()
    };
    let rows = tags.iter().map(contents).collect_view();
    view! {
        <article class="prose reference" lang="en">
            <h1>{t.docs.reference}</h1>
            <p class="lead" inner_html=introduction></p>
            <p>{t.docs.key_hint}" "<code>"Authorization: Bearer tsk_…"</code>" · "<a href="/v1/openapi.json">"OpenAPI 3.1"</a></p>
            <details>
                <summary>{t.docs.all_operations}</summary>
                <div class="scroll" tabindex="0" role="group" aria-label=t.docs.all_operations>
                    <table>
                        <thead><tr><th scope="col">{t.docs.method}</th><th scope="col">{t.docs.operation}</th><th scope="col">{t.docs.meaning}</th></tr></thead>
                        <tbody>{rows}</tbody>
                    </table>
                </div>
            </details>
            {tags.into_iter().map(|tag| view! { <TagPart tag/> }).collect_view()}
            <h2 id="schemas">{t.docs.schemas}</h2>
            {schemas.into_iter().map(|schema| view! { <SchemaPart schema/> }).collect_view()}
        </article>
    }
}

#[component]
fn TagPart(
    /// What stands in it.
    tag: Tag,
) -> impl IntoView {
    view! {
        <h2 id=tag.name>{tag.description}</h2>
        {tag.operations.into_iter().map(|operation| view! { <OperationPart operation/> }).collect_view()}
    }
}

#[component]
fn OperationPart(
    /// What it takes and answers.
    operation: Operation,
) -> impl IntoView {
    let t = text();
    let Operation { id, method, path, summary, description, wants_key, parameters, body, answers, refusals, command } =
        operation;
    let title_id = format!("{id}-title");
    let labelled_by = title_id.clone();
    let parameters = (!parameters.is_empty()).then(|| view! { <Parameters parameters/> });
    let body = body.map(|body| view! { <h4>{t.docs.request_body}</h4><BodyPart body/> });
    let refusal = |refusal: Refusal| {
        view! { <tr><td>{refusal.status}</td><td class="mono">{refusal.code}</td><td class="name">{refusal.meaning}</td></tr> }
    };
    let answer = |answer: Answer| {
        view! {
            <p><span class="badge good">{answer.status}</span>" "<span inner_html=answer.description></span></p>
            {answer.body.map(|body| view! { <BodyPart body/> })}
        }
    };
    view! {
        <section class="operation card" id=id aria-labelledby=labelled_by>
            <h3 id=title_id>{summary}</h3>
            <p class="address">
                <span class="method">{method}</span>" "<code>{path}</code>
                {wants_key.then(|| view! { " "<span class="badge">{t.docs.wants_key}</span> })}
            </p>
            {(!description.is_empty()).then(|| view! { <p inner_html=description></p> })}
            {parameters}
            {body}
            <h4>{t.docs.answers}</h4>
            {answers.into_iter().map(answer).collect_view()}
            {(!refusals.is_empty()).then(|| view! {
                <details>
                    <summary>{t.docs.refusals}</summary>
                    <div class="scroll refusals" tabindex="0" role="group" aria-label=t.docs.refusals>
                        <table>
                            <thead><tr><th scope="col">{t.docs.status}</th><th scope="col">{t.docs.code}</th><th scope="col">{t.docs.meaning}</th></tr></thead>
                            <tbody>{refusals.into_iter().map(refusal).collect_view()}</tbody>
                        </table>
                    </div>
                </details>
            })}
            <details>
                <summary>"curl"</summary>
                <pre tabindex="0"><code>{command}</code></pre>
            </details>
        </section>
    }
}

#[component]
fn Parameters(
    /// In order.
    parameters: Vec<Parameter>,
) -> impl IntoView {
    let t = text();
    let line = |parameter: Parameter| {
        view! {
            <tr>
                <td class="mono">{parameter.name}{parameter.is_required.then(|| view! { <Required/> })}</td>
                <td>{parameter.place}</td>
                <td class="name">{kind_text(parameter.kind)}</td>
                <td class="name" inner_html=parameter.description></td>
            </tr>
        }
    };
    view! {
        <h4>{t.docs.parameters}</h4>
        <div class="scroll" tabindex="0" role="group" aria-label=t.docs.parameters>
            <table>
                <thead><tr><th scope="col">{t.site.name}</th><th scope="col">{t.docs.place}</th><th scope="col">{t.docs.kind}</th><th scope="col">{t.docs.meaning}</th></tr></thead>
                <tbody>{parameters.into_iter().map(line).collect_view()}</tbody>
            </table>
        </div>
    }
}

#[component]
fn Required() -> impl IntoView {
    let t = text();
    view! { <span class="required" title=t.docs.required>"*"<span class="unseen">{t.docs.required}</span></span> }
}

#[component]
fn BodyPart(
    /// Of a request or an answer.
    body: Body,
) -> impl IntoView {
    let t = text();
    view! {
        <p><code>{body.media_type}</code>{body.kind.map(|kind| view! { " "{kind_text(kind)} })}</p>
        {body.example.map(|example| view! {
            <details>
                <summary>{t.docs.example}</summary>
                <pre tabindex="0"><code>{example}</code></pre>
            </details>
        })}
    }
}

/// A kind of value, with a link to the schema that it names. It holds others, so its type is erased.
fn kind_text(kind: Kind) -> AnyView {
    let t = text();
    match kind {
        Kind::Plain(text) => view! { <span>{text}</span> }.into_any(),
        Kind::Values(values) => {
            let value = |value: String| view! { <code>{value}</code>" " };
            view! { <span>{values.into_iter().map(value).collect_view()}</span> }.into_any()
        }
        Kind::Schema(name) => {
            let target = format!("#schema-{name}");
            view! { <a class="mono" href=target>{name}</a> }.into_any()
        }
        Kind::Array(of) => view! { {t.docs.array_of}" "{kind_text(*of)} }.into_any(),
        Kind::Map(of) => view! { {t.docs.map_of}" "{kind_text(*of)} }.into_any(),
    }
}

#[component]
fn SchemaPart(
    /// What a value of it is.
    schema: Schema,
) -> impl IntoView {
    let t = text();
    let Schema { name, description, kind, fields, choices } = schema;
    let id = format!("schema-{name}");
    let choice = |choice: Schema| {
        view! {
            <h4 class="mono">{choice.name}</h4>
            {(!choice.description.is_empty()).then(|| view! { <p inner_html=choice.description></p> })}
            <Fields fields=choice.fields/>
        }
    };
    view! {
        <section class="schema" id=id>
            <h3 class="mono">{name}</h3>
            {(!description.is_empty()).then(|| view! { <p inner_html=description></p> })}
            {kind.map(|kind| view! { <p>{kind_text(kind)}</p> })}
            <Fields fields/>
            {(!choices.is_empty()).then(|| view! { <p class="soft">{t.docs.one_of}</p> })}
            {choices.into_iter().map(choice).collect_view()}
        </section>
    }
}

#[component]
fn Fields(
    /// In order.
    fields: Vec<SchemaField>,
) -> impl IntoView {
    let t = text();
    let line = |field: SchemaField| {
        view! {
            <tr>
                <td class="mono">{field.name}{field.is_required.then(|| view! { <Required/> })}</td>
                <td class="name">{kind_text(field.kind)}</td>
                <td class="name" inner_html=field.description></td>
            </tr>
        }
    };
    (!fields.is_empty()).then(|| {
        view! {
            <div class="scroll" tabindex="0" role="group" aria-label=t.docs.fields>
                <table>
                    <thead><tr><th scope="col">{t.site.name}</th><th scope="col">{t.docs.kind}</th><th scope="col">{t.docs.meaning}</th></tr></thead>
                    <tbody>{fields.into_iter().map(line).collect_view()}</tbody>
                </table>
            </div>
        }
    })
}
