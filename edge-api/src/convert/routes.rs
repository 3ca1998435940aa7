use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use futures::SinkExt;
use futures::channel::mpsc;
use rules::admission::require_owned;
use wire::{ArraysToMake, Blob, DType, Detail, ErrorCode, MadeArrays};

use super::error::ConvertError;
use super::message::Refused;
use super::order::{Made, Order};
use super::port::Port;
use super::process::{ConvertFailure, Converter};
use crate::app::App;
use crate::auth::Caller;
use crate::blobs::Staged;
use crate::blobs::routes::{check_account_bytes, discard, keep};
use crate::http::client_address::ClientAddress;
use crate::http::error::{ApiError, ApiResult, Refusal};
use crate::http::extract::JsonBody;
use crate::http::limits::{Action, overloaded};
use crate::openapi::answers::{ForeignOrigin, InvalidFile, RateLimited, Refusals};
use crate::programs::infer;

/// Pieces that wait to be stored.
const PIECES: usize = 2;
/// What may stand around values in a file: the heads of all arrays, and an archive's directory.
const AROUND_BYTES: u64 = 1 << 20;

/// Make arrays of a file
///
/// Of a compressed `.npz`, arrays of another type or without an axis of rows, CSV, Parquet, a picture or a zip of pictures:
/// what the model reads, stored as a blob of the caller's own. A file that is that already is answered as it is.
#[utoipa::path(
    post,
    path = "/v1/arrays",
    tag = "blobs",
    request_body = ArraysToMake,
    responses(
        (status = 201, description = "The arrays, and how the file was read", body = MadeArrays),
        Refusals<(Caller, ForeignOrigin, RateLimited, JsonBody<ArraysToMake>, InvalidFile)>
    )
)]
pub async fn make_arrays(
    caller: Caller,
    State(app): State<App>,
    from: ClientAddress,
    JsonBody(request): JsonBody<ArraysToMake>,
) -> ApiResult<(StatusCode, Json<MadeArrays>)> {
    app.limits.check(Action::Order, from)?;
    app.limits.check(Action::Order, caller.account)?;
    let _entry = app.limits.orders.enter(caller.account, "orders of an account are read")?;
    let file = store::blobs::find_owned_blob(&mut *app.db.read().await?, caller.account, request.file).await?;
    let file = require_owned(file, "file")?;
    let ports = infer::declared(&app, caller.account, request.model).await?;
    let ports = ports.into_iter().map(port).collect::<Result<Vec<Port>, ConvertError>>();
    let ports = ports.map_err(|error| refusal(&Refused::from(&error)))?;
    let order = Order { request, ports, size: file.size, most: app.config.blob_bytes_max };
    let stored = store::blobs::sum_owned_bytes(&mut *app.db.read().await?, caller.account).await?;
    // What is made has a byte at least.
    check_account_bytes(&app, stored.saturating_add(1))?;
    let place = app.converters.enter().await;
    let place = place.ok_or_else(|| overloaded("the server is busy with other files; try again in a moment"))?;
    let (made, staged) = convert(&app, &place, &file, &order).await?;
    drop(place);
    let blob = if made.unchanged {
        discard(&app, &staged).await;
        file
    } else {
        keep(&app, caller.account, &staged).await?;
        staged.blob
    };
    Ok((StatusCode::CREATED, Json(made.stored_as(blob))))
}

fn port(port: rules::program::infer::Port) -> Result<Port, ConvertError> {
    let dtype = DType::ALL.into_iter().find(|dtype| dtype.name() == port.dtype);
    let unsent = || ConvertError::PortType { name: port.name.clone(), dtype: port.dtype.to_owned() };
    Ok(Port { dtype: dtype.ok_or_else(unsent)?, name: port.name, shape: port.shape })
}

/// Converts, and stores meanwhile what comes of it.
async fn convert(app: &App, place: &Converter<'_>, file: &Blob, order: &Order) -> Result<(Made, Staged), ApiError> {
    let (mut pieces, stored) = mpsc::channel(PIECES);
    let name = app.new_nonce().to_string();
    let converting = async {
        let made = place.convert(&app.blobs, file.hash, order, &mut pieces).await;
        if let Err(failure) = &made {
            // Nobody wants what was made so far. Whoever stores it may have stopped before.
            let broken = axum::Error::new(failure.to_string());
            pieces.send(Err(broken)).await.unwrap_or_default();
        }
        drop(pieces);
        made
    };
    let storing = app.blobs.stage(&name, order.most.saturating_add(AROUND_BYTES), &app.disk, stored);
    match futures::join!(converting, storing) {
        (Ok(made), Ok(staged)) => Ok((made, staged)),
        (Ok(_) | Err(ConvertFailure::NotStored), Err(error)) => Err(error.into()),
        (Err(failure), Err(_broken)) => Err(failure.into()),
        (Err(failure), Ok(staged)) => {
            discard(app, &staged).await;
            Err(failure.into())
        }
    }
}

fn refusal(refused: &Refused) -> ApiError {
    let Refused { code, field, message, detail } = refused;
    let mut refusal = Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, *code, message.clone()).field(field);
    refusal.body.detail = detail.clone().map(Box::new);
    refusal.into()
}

impl From<ConvertFailure> for ApiError {
    fn from(failure: ConvertFailure) -> Self {
        match failure {
            ConvertFailure::Refused(refused) => refusal(&refused),
            ConvertFailure::Limit { megabytes, seconds } => refusal(&Refused {
                code: ErrorCode::TooLarge,
                field: "file".to_owned(),
                message: failure.to_string(),
                detail: Some(Detail {
                    reason: "convert_limit".to_owned(),
                    arguments: [("megabytes", megabytes), ("seconds", seconds.into())]
                        .map(|(name, number)| (name.to_owned(), number.to_string()))
                        .into(),
                }),
            }),
            ConvertFailure::NotStored => Self::Internal(failure.into()),
            ConvertFailure::Internal(error) => Self::Internal(error),
        }
    }
}
