//! A table as columns and cells, and how an island draws it.

use std::borrow::Cow;

use leptos::html;
use leptos::prelude::*;
use wire::explorer::ReceiptState;
use wire::{DeviceId, JobState, Micros};

use super::facts::{JobBadge, Moment, ReceiptBadge};
use crate::route::Page;
use crate::text::{Text, text};
use crate::visit::href;

/// A column: what its head says, and how its cells look.
#[derive(Clone, Copy)]
pub(super) struct Column {
    pub(super) label: &'static str,
    pub(super) class: Option<&'static str>,
}

pub(super) const fn plain(label: &'static str) -> Column {
    Column { label, class: None }
}

/// Figures, which stand below each other.
pub(super) const fn number(label: &'static str) -> Column {
    Column { label, class: Some(NUMBER) }
}

/// Ids.
pub(super) const fn mono(label: &'static str) -> Column {
    Column { label, class: Some("mono") }
}

/// A name is as long as it is, and gives way to the figures.
pub(super) const fn name(label: &'static str) -> Column {
    Column { label, class: Some("name") }
}

pub(super) const NUMBER: &str = "number";

impl Column {
    /// Of its cells, figures alone set the head apart.
    fn head_class(self) -> Option<&'static str> {
        self.class.filter(|class| *class == NUMBER)
    }
}

/// What a cell shows.
pub(super) enum Cell {
    Text(Cow<'static, str>),
    Link(Page, String),
    /// What there is no page of.
    Soft(&'static str),
    Online(bool),
    /// A name, and what is to be known of it.
    Noted(String, Option<String>),
    Time(Micros),
    Job(JobState),
    Receipt(ReceiptState),
}

impl Cell {
    fn view(self) -> AnyView {
        match self {
            Self::Text(text) => text.into_any(),
            Self::Link(page, text) => view! { <a href=href(page)>{text}</a> }.into_any(),
            Self::Soft(text) => view! { <span class="soft">{text}</span> }.into_any(),
            Self::Online(online) => {
                view! { <span><span class=dot(online) aria-hidden="true"></span>{online_text(text(), online)}</span> }
                    .into_any()
            }
            Self::Noted(name, note) => {
                view! { <span>{name}{note.map(|note| view! { <small>{note}</small> })}</span> }.into_any()
            }
            Self::Time(time) => view! { <Moment time/> }.into_any(),
            Self::Job(state) => view! { <JobBadge state/> }.into_any(),
            Self::Receipt(state) => view! { <ReceiptBadge state/> }.into_any(),
        }
    }
}

pub(super) fn dot(online: bool) -> &'static str {
    if online { "dot on" } else { "dot" }
}

pub(super) fn online_text(t: &'static Text, online: bool) -> &'static str {
    if online { t.explorer.online } else { t.explorer.offline }
}

/// What can be done with a row's device, in a last column.
pub(super) type Action = fn(DeviceId) -> AnyView;

/// A row's cells, one a column, and the device that something can be done with.
pub struct Row {
    pub(super) cells: Vec<Cell>,
    pub(super) device: Option<DeviceId>,
}

impl<const N: usize> From<[Cell; N]> for Row {
    fn from(cells: [Cell; N]) -> Self {
        Self { cells: cells.into(), device: None }
    }
}

/// A table that is yet to be rendered.
pub struct Table<Rows> {
    pub(super) label: &'static str,
    pub(super) columns: Vec<Column>,
    pub(super) rows: Rows,
    pub(super) action: Option<Action>,
}

impl<Rows: Iterator<Item = Row>> Table<Rows> {
    /// For an island: a node for each text, so that only what has changed is drawn again.
    pub fn live(self) -> impl IntoView + use<Rows> {
        let Self { label, columns, rows, action } = self;
        let cell = |(column, cell): (&Column, Cell)| {
            html::td().attr("data-label", column.label).attr("class", column.class).child(cell.view())
        };
        let row = |row: Row| {
            let action = action.zip(row.device);
            view! {
                <tr>
                    {columns.iter().zip(row.cells).map(cell).collect_view()}
                    {action.map(|(action, device)| view! { <td class=NUMBER>{action(device)}</td> })}
                </tr>
            }
        };
        let body = view! { <tbody>{rows.map(row).collect_view()}</tbody> };
        frame(label, &columns, action, body)
    }
}

/// All of a table but its rows.
pub(super) fn frame<Body: IntoView>(
    label: &'static str,
    columns: &[Column],
    action: Option<Action>,
    body: Body,
) -> impl IntoView + use<Body> {
    // As attributes by their names: a class that is none would be written as an empty one.
    let head = |column: &Column| html::th().attr("scope", "col").attr("class", column.head_class()).child(column.label);
    view! {
        <div class="scroll" tabindex="0" role="group" aria-label=label>
            <table class="rows">
                <thead>
                    <tr>
                        {columns.iter().map(head).collect_view()}
                        {action.map(|_| view! { <th scope="col"><span class="unseen">{text().account.unlink}</span></th> })}
                    </tr>
                </thead>
                {body}
            </table>
        </div>
    }
}
