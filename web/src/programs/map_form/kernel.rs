//! A kernel that is being written: its text, its numbers, and what the server last said of them.

use std::time::Duration;

use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::{BlobHash, IntegerTolerance, Job, KernelReport, KernelToCheck};

use super::examples::Example;
use super::params;
use crate::api::{self, Failure};
use crate::programs::draft::JobDraft;
use crate::programs::file_slot::{FileSlot, file_of};
use crate::programs::typed::{self, Takes, whole};
use crate::text::text;

/// After the last key, before the text is checked.
const PAUSE: Duration = Duration::from_millis(400);
const TEMPLATE: &str = "// One invocation a record: reads record id.x, writes result id.x.
@group(0) @binding(0) var<storage, read> records: array<u32>;
@group(0) @binding(1) var<storage, read_write> results: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    results[id.x] = records[id.x] * records[id.x];
}
";

/// Fields of the check besides the text, by their names in the API.
const NUMBERS: [&str; 3] = ["record_bytes", "out_bytes", "fuel"];

#[derive(Clone, Debug, PartialEq)]
pub(super) enum CheckState {
    /// The text has changed, and its check has not come back.
    Unchecked,
    Passed(KernelReport),
    Refused(Failure),
}

/// Numbers are kept as they were typed.
#[derive(Clone, Copy)]
pub(super) struct KernelDraft {
    pub(super) text: RwSignal<String>,
    /// The text as a blob, once it has passed.
    pub(super) code: RwSignal<FileSlot>,
    pub(super) params: RwSignal<FileSlot>,
    /// Parameters that are typed, in place of a file.
    pub(super) typed_params: RwSignal<String>,
    pub(super) record_bytes: RwSignal<String>,
    pub(super) out_bytes: RwSignal<String>,
    /// Empty for what the kernel's loops need.
    pub(super) fuel: RwSignal<String>,
    /// Records a tile; empty for what the server chooses.
    pub(super) tile_records: RwSignal<String>,
    pub(super) rtol: RwSignal<String>,
    pub(super) atol: RwSignal<String>,
    pub(super) units: RwSignal<String>,
    pub(super) fraction: RwSignal<String>,
    pub(super) bits: RwSignal<String>,
    pub(super) check: RwSignal<CheckState>,
    /// Counts checks, so that an old answer does not overwrite a new one.
    check_number: StoredValue<u32>,
    /// An earlier job's kernel, still to be fetched.
    earlier_code: StoredValue<Option<BlobHash>>,
}

impl KernelDraft {
    pub(super) fn new(earlier: Option<&Job>) -> Self {
        let mut numbers = [4, 4].map(|number: u32| number.to_string());
        let (mut fuel, mut tile_records) = (String::new(), String::new());
        let mut tolerance = ["1e-4".to_owned(), "1e-6".to_owned()];
        // Nobody can know how far integers may be apart.
        let mut integers = [String::new(), "1".to_owned(), "32".to_owned()];
        let (mut code, mut params) = (None, FileSlot::Missing);
        if let Some((job, wire::Program::Map(earlier))) = earlier.map(|job| (job, &job.program)) {
            let wire::Map { kernel, record_bytes, out_bytes, fuel: stated, params: given, check, .. } = earlier;
            numbers = [*record_bytes, *out_bytes].map(|number| number.to_string());
            let shown = |number: Option<u32>| number.map(|number| number.to_string()).unwrap_or_default();
            (fuel, tile_records) = (shown(*stated), shown(earlier.tile_records));
            code = Some(*kernel);
            let given = given.map(|hash| FileSlot::from_earlier_job(job, "params", hash));
            params = given.unwrap_or(FileSlot::Missing);
            if let Some(wire::Check::Tolerance { rtol, atol, integers: stated }) = check {
                tolerance = [rtol.get().to_string(), atol.get().to_string()];
                if let Some(IntegerTolerance { units, fraction, bits }) = stated {
                    integers = [units.to_string(), fraction.get().to_string(), u8::from(*bits).to_string()];
                }
            }
        }
        let [record_bytes, out_bytes] = numbers.map(RwSignal::new);
        let [rtol, atol] = tolerance.map(RwSignal::new);
        let [units, fraction, bits] = integers.map(RwSignal::new);
        Self {
            text: RwSignal::new(if code.is_some() { String::new() } else { TEMPLATE.to_owned() }),
            code: RwSignal::new(FileSlot::Missing),
            params: RwSignal::new(params),
            typed_params: RwSignal::new(String::new()),
            record_bytes,
            out_bytes,
            fuel: RwSignal::new(fuel),
            tile_records: RwSignal::new(tile_records),
            rtol,
            atol,
            units,
            fraction,
            bits,
            check: RwSignal::new(CheckState::Unchecked),
            check_number: StoredValue::new(0),
            earlier_code: StoredValue::new(code),
        }
    }

    /// What it would run over `input`, once all of it is there and has passed.
    pub(super) fn program(self, input: BlobHash) -> Option<wire::Program> {
        let CheckState::Passed(report) = self.check.get() else { return None };
        // What is typed and is no number is not left out: there is nothing to run until it is mended.
        if self.is_mistyped() {
            return None;
        }
        let number = |field: RwSignal<String>| field.with(|typed| whole(typed));
        let tolerance = |field: RwSignal<String>| field.with(|typed| typed::tolerance(typed));
        let params = match report.params_bytes {
            Some(_) => Some(self.params.with(FileSlot::hash)?),
            None => None,
        };
        let integers = if self.states_units(&report) {
            Some(IntegerTolerance {
                units: number(self.units)?,
                fraction: self.fraction.with(|typed| typed::share(typed))?,
                bits: self.bits.with(|typed| typed::bits(typed))?,
            })
        } else {
            None
        };
        let check = if report.floats {
            Some(wire::Check::Tolerance { rtol: tolerance(self.rtol)?, atol: tolerance(self.atol)?, integers })
        } else {
            None
        };
        Some(wire::Program::Map(wire::Map {
            kernel: self.code.with(FileSlot::hash)?,
            input,
            record_bytes: number(self.record_bytes)?,
            out_bytes: number(self.out_bytes)?,
            params,
            fuel: number(self.fuel),
            check,
            tile_records: number(self.tile_records),
        }))
    }

    fn states_units(self, report: &KernelReport) -> bool {
        report.floats && report.answers_integers && !self.units.with(|typed| typed.trim().is_empty())
    }

    /// Whether a field that the program needs holds what it cannot take.
    pub(super) fn is_mistyped(self) -> bool {
        let wrong = |(field, takes): (RwSignal<String>, Takes)| field.with(|typed| !takes.holds(typed));
        let sizes = [self.record_bytes, self.out_bytes].map(|field| (field, Takes::Whole));
        let bounds = [self.fuel, self.tile_records].map(|field| (field, Takes::WholeOrNothing));
        let Some(report) = self.report() else { return sizes.into_iter().chain(bounds).any(wrong) };
        let floats = [self.rtol, self.atol].map(|field| (field, Takes::Tolerance));
        let integers = [(self.units, Takes::Whole), (self.fraction, Takes::Share), (self.bits, Takes::Bits)];
        sizes.into_iter().chain(bounds).any(wrong)
            || (report.floats && floats.into_iter().any(wrong))
            || (self.states_units(&report) && integers.into_iter().any(wrong))
    }

    /// Why the server refuses one of these fields: in the check of the text, or in the quote, which looks at more.
    pub(super) fn refusal_of(self, draft: JobDraft, field: &str) -> Option<Failure> {
        match self.check.get() {
            CheckState::Refused(failure) if failure.is_field(field) => Some(failure),
            // What is said of no number is said of the text.
            CheckState::Refused(failure) => {
                (field == "kernel" && !NUMBERS.iter().any(|number| failure.is_field(number))).then_some(failure)
            }
            CheckState::Unchecked | CheckState::Passed(_) => draft.refusal_of(&[field]),
        }
    }

    /// Has the server check the text a moment after the last change.
    pub(super) fn check_soon(self) {
        self.check_number.update_value(|number| *number += 1);
        let check_number = self.check_number.get_value();
        self.code.set(FileSlot::Missing);
        self.check.set(CheckState::Unchecked);
        let fuel = self.fuel.get();
        let sizes = (self.record_bytes.with(|typed| whole(typed)), self.out_bytes.with(|typed| whole(typed)));
        let kernel = self.text.get();
        let ((Some(record_bytes), Some(out_bytes)), true) = (sizes, Takes::WholeOrNothing.holds(&fuel)) else { return };
        let request = KernelToCheck { kernel, record_bytes, out_bytes, fuel: whole(&fuel) };
        let is_current = move || self.check_number.try_get_value() == Some(check_number);
        let check = move || {
            if !is_current() || request.kernel.trim().is_empty() {
                return;
            }
            spawn_local(async move {
                let answer = api::check_kernel(&request).await;
                if !is_current() {
                    return;
                }
                match answer {
                    Ok(report) => {
                        self.check.set(CheckState::Passed(report));
                        if let Some(file) = file_of("kernel.wgsl", request.kernel.as_bytes()) {
                            self.code.set(FileSlot::chosen(file));
                        }
                    }
                    Err(failure) => self.check.set(CheckState::Refused(failure)),
                }
            });
        };
        set_timeout(check, PAUSE);
    }

    /// Takes the text of the job that the draft begins with.
    pub(super) fn fetch_earlier(self) {
        let Some(hash) = self.earlier_code.try_update_value(Option::take).flatten() else { return };
        // What was typed in its place is there again.
        if self.text.with_untracked(|text| !text.is_empty()) {
            return;
        }
        spawn_local(async move {
            match api::blob_text(hash).await {
                Ok(text) => self.text.set(text),
                Err(failure) => self.check.set(CheckState::Refused(failure)),
            }
        });
    }

    /// Takes typed parameters for a file's. What is wrong with them is said at the file's place.
    pub(super) fn take_typed_params(self) {
        let typed = self.typed_params.get();
        if typed.trim().is_empty() {
            return;
        }
        self.params.set(match params::parse(&typed) {
            Ok(bytes) => file_of("params.bin", &bytes).map_or(FileSlot::Missing, FileSlot::chosen),
            Err(wrong) => FileSlot::Refused {
                chosen: None,
                message: format!("{}{}{wrong}", text().map.no_number, text().site.colon),
            },
        });
    }

    /// Puts an example in place of what is there, with its records into `input`.
    pub(super) fn load(self, example: &'static Example, input: RwSignal<FileSlot>) {
        spawn_local(async move {
            let fetched = api::sample(example.file).await;
            let kernel = fetched.and_then(|bytes| String::from_utf8(bytes).map_err(|_binary| Failure::Unreachable));
            let kernel = match kernel {
                Ok(kernel) => kernel,
                Err(failure) => return self.check.set(CheckState::Refused(failure)),
            };
            self.record_bytes.set(example.record_bytes.to_string());
            self.out_bytes.set(example.out_bytes.to_string());
            for empty in [self.fuel, self.tile_records, self.units] {
                empty.set(String::new());
            }
            let [rtol, atol] = example.tolerance;
            self.rtol.set(rtol.to_owned());
            self.atol.set(atol.to_owned());
            self.typed_params.set(example.params.to_owned());
            self.take_typed_params();
            let (name, records) = example.records;
            if let Some(file) = file_of(name, &records()) {
                input.set(FileSlot::chosen(file));
            }
            self.text.set(kernel);
        });
    }

    pub(super) fn report(self) -> Option<KernelReport> {
        match self.check.get() {
            CheckState::Passed(report) => Some(report),
            CheckState::Unchecked | CheckState::Refused(_) => None,
        }
    }
}
