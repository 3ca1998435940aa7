//! What operations answer besides JSON of `wire`: refusals and bytes. A handler names what can refuse
//! its request, and each of those says here with which statuses and codes.

use std::collections::{BTreeMap, BTreeSet};
use std::marker::PhantomData;

use serde_json::json;
use utoipa::IntoResponses;
use utoipa::openapi::example::ExampleBuilder;
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response, ResponseBuilder};
use wire::ErrorCode;

use crate::auth::Caller;
use crate::http::extract::{JsonBody, PathParam, QueryParams, SocketUpgrade};

/// A body that is no JSON.
#[derive(utoipa::ToSchema)]
#[schema(value_type = String, format = Binary)]
pub struct Binary(#[expect(dead_code, reason = "it stands for bytes that are streamed")] Vec<u8>);

/// Something that can refuse a request.
pub trait Refuses {
    fn list(refusals: &mut BTreeSet<(u16, ErrorCode)>);
}

/// The refusals of an operation: of all that a tuple names, and the server's own failure.
pub struct Refusals<T>(PhantomData<T>);

impl<T: Refuses> IntoResponses for Refusals<T> {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let mut refusals = BTreeSet::from([(500, ErrorCode::Internal)]);
        T::list(&mut refusals);
        let mut by_status: BTreeMap<u16, Vec<ErrorCode>> = BTreeMap::new();
        for (status, code) in refusals {
            by_status.entry(status).or_default().push(code);
        }
        by_status.into_iter().map(|(status, codes)| (status.to_string(), refusal(&codes).into())).collect()
    }
}

/// One status: a line of the description and an example for each of its codes.
fn refusal(codes: &[ErrorCode]) -> Response {
    let name = |code: &ErrorCode| json!(code).as_str().unwrap_or_default().to_owned();
    let lines: Vec<String> = codes.iter().map(|code| format!("- `{}`: {}", name(code), code.meaning())).collect();
    let examples = codes.iter().map(|code| {
        let value = json!({ "code": code, "message": code.meaning() });
        (name(code), ExampleBuilder::new().summary(code.meaning()).value(Some(value)).build())
    });
    let content = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name("Error")))
        .examples_from_iter(examples.collect::<BTreeMap<_, _>>());
    ResponseBuilder::new().description(lines.join("\n")).content("application/json", content.build()).build()
}

macro_rules! tuples_refuse {
    ($(($($name:ident),+))+) => {$(
        impl<$($name: Refuses),+> Refuses for ($($name,)+) {
            fn list(refusals: &mut BTreeSet<(u16, ErrorCode)>) {
                $($name::list(refusals);)+
            }
        }
    )+};
}

tuples_refuse! {
    (A, B)
    (A, B, C)
    (A, B, C, D)
    (A, B, C, D, E)
    (A, B, C, D, E, F)
    (A, B, C, D, E, F, G)
    (A, B, C, D, E, F, G, H, I)
}

impl Refuses for () {
    fn list(_none: &mut BTreeSet<(u16, ErrorCode)>) {}
}

macro_rules! refuses {
    ($($(#[$doc:meta])* [$($generic:ident)?] $name:ty: $($status:literal $($code:ident)|+),+;)+) => {$(
        impl$(<$generic>)? Refuses for $name {
            fn list(refusals: &mut BTreeSet<(u16, ErrorCode)>) {
                $($(refusals.insert(($status, ErrorCode::$code));)+)+
            }
        }
    )+};
}

refuses! {
    [] Caller: 401 Unauthorized;
    [T] JsonBody<T>: 400 MalformedRequest, 413 MalformedRequest, 422 MalformedRequest, 503 Overloaded;
    [T] QueryParams<T>: 400 MalformedRequest;
    [T] PathParam<T>: 404 NotFound;
    [] SocketUpgrade: 400 MalformedRequest;
}

/// What handlers check themselves, named after what they refuse.
macro_rules! checks {
    ($($(#[$doc:meta])* $name:ident: $($status:literal $($code:ident)|+),+;)+) => {
        $($(#[$doc])* pub enum $name {})+
        refuses!($([] $name: $($status $($code)|+),+;)+);
    };
}

checks! {
    /// A session's cookie may write for pages of this origin alone.
    ForeignOrigin: 403 ForeignOrigin;
    NotInDevelopment: 403 NotInDevelopment;
    RateLimited: 429 RateLimited;
    /// A server that goes away takes nothing that lasts.
    Draining: 503 Draining;
    /// A value that is read, and is none that the operation takes.
    OutOfBounds: 422 MalformedRequest;
    TooManyKeys: 409 TooManyKeys;
    LastKey: 409 LastKey;
    /// Bytes that are streamed to the store.
    UploadFailed: 400 MalformedRequest, 413 TooLarge, 422 InvalidInput, 503 Overloaded, 507 StorageFull;
    /// A file that becomes no arrays of the model's.
    InvalidFile: 422 UnknownBlob | InvalidModel | UnsupportedOperator | InvalidInput | InputMismatch | NoRows | TooLarge
        | MalformedRequest, 503 Overloaded, 507 StorageFull;
    InvalidKernel: 422 InvalidKernel | RowTooHeavy;
    /// A program and its data that are no job that can run.
    InvalidOrder: 422 UnknownBlob | InvalidModel | InvalidKernel | InvalidParams | UnsupportedOperator | InvalidInput
        | InputMismatch | NoRows | TooLarge | RowTooHeavy | InvalidTileRows;
    NoDeviceFits: 422 NoDeviceFits;
    NotPayable: 402 InsufficientFunds, 409 OverLimit;
    IdempotencyConflict: 409 IdempotencyConflict;
    JobEnded: 409 JobEnded;
    JobNotDone: 409 JobNotDone;
    ResultDamaged: 410 ResultDamaged;
    /// A part of a file that is longer than the file.
    RangeBehindEnd: 416 RangeNotSatisfiable;
    UnknownLease: 404 UnknownLease;
    /// A model has no parameters, a kernel no plan.
    PartMissing: 404 NotFound;
    OutputSize: 422 OutputSize;
    OutputTaken: 409 OutputTaken;
    /// Bytes that are held in memory on their way to the store.
    OutputFailed: 503 Overloaded, 507 StorageFull;
}
