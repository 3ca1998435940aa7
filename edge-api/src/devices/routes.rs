use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use wire::explorer::PublicDevice;
use wire::{DeviceCode, DeviceId};

use super::unlink;
use crate::app::App;
use crate::auth::{Caller, hash_secret};
use crate::http::client_address::ClientAddress;
use crate::http::error::{ApiResult, not_found};
use crate::http::extract::PathParam;
use crate::http::limits::Action;
use crate::openapi::answers::{ForeignOrigin, RateLimited, Refusals};
use crate::random;

const DEVICES_MAX: i64 = 200;
const CODE_LASTS: wire::Micros = 15 * 60 * 1_000_000;
/// Without the letters and digits that people take for one another.
const ALPHABET: &[u8; 32] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";

/// List the caller's devices
#[utoipa::path(
    get,
    path = "/v1/devices",
    tag = "devices",
    responses(
        (status = 200, description = "Those seen last first; 200 at most", body = Vec<PublicDevice>),
        Refusals<Caller>
    )
)]
pub async fn list_devices(caller: Caller, State(app): State<App>) -> ApiResult<Json<Vec<PublicDevice>>> {
    let mut conn = app.db.read().await?;
    let now = app.clock.now();
    Ok(Json(store::devices::list_devices_of_account(&mut conn, caller.account, DEVICES_MAX, now).await?))
}

/// Unlink a device
///
/// It is disconnected, earns for the account no more and gets none of its private jobs. What it has earned stays. No key
/// of the account links it again; a device code does.
#[utoipa::path(
    delete,
    path = "/v1/devices/{id}",
    tag = "devices",
    params(("id" = DeviceId, Path, description = "The device")),
    responses(
        (status = 204, description = "The device is not the account's any more"),
        Refusals<(Caller, ForeignOrigin, PathParam<DeviceId>)>
    )
)]
pub async fn unlink_device(
    caller: Caller,
    State(app): State<App>,
    PathParam(device): PathParam<DeviceId>,
) -> ApiResult<StatusCode> {
    let mut tx = app.db.begin_write().await?;
    if !unlink::unlink(&mut tx, caller.account, device, true, app.clock.now()).await? {
        return Err(not_found("device"));
    }
    store::notices::notify(&mut tx, &app.replica, store::notices::Notice::Unlinked).await?;
    tx.commit().await?;
    unlink::disconnect(&app, &[device]);
    Ok(StatusCode::NO_CONTENT)
}

/// Make a code that links one device to the caller's account
///
/// `tessera-worker run --code CODE`. It works once, for fifteen minutes.
#[utoipa::path(
    post,
    path = "/v1/device-codes",
    tag = "devices",
    responses(
        (status = 201, description = "The code", body = DeviceCode),
        Refusals<(Caller, ForeignOrigin, RateLimited)>
    )
)]
pub async fn make_device_code(
    caller: Caller,
    State(app): State<App>,
    from: ClientAddress,
) -> ApiResult<(StatusCode, Json<DeviceCode>)> {
    app.limits.check(Action::MakeDeviceCode, from)?;
    let now = app.clock.now();
    let code = new_code(random::bytes());
    let expires_at = now + CODE_LASTS;
    let mut tx = app.db.begin_write().await?;
    store::devices::insert_device_code(&mut tx, &hash_secret(&code), caller.account, expires_at).await?;
    tx.commit().await?;
    Ok((StatusCode::CREATED, Json(DeviceCode { code, expires_at })))
}

/// Forty random bits: the sockets that one address may open in fifteen minutes guess one in a hundred million.
fn new_code(random: [u8; 8]) -> String {
    let mut code: String = random.iter().map(|byte| char::from(ALPHABET[usize::from(byte % 32)])).collect();
    code.insert(4, '-');
    code
}

/// A code as it was made, however it was typed.
pub fn normal_code(text: &str) -> String {
    let mut code: String = text.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_uppercase()).collect();
    if code.len() > 4 {
        code.insert(4, '-');
    }
    code
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_reads_the_same_however_it_is_typed() {
        let code = new_code([0, 31, 32, 200, 5, 6, 7, 255]);

        assert_eq!(code, "A9AJ-FGH9");
        assert_eq!(normal_code(" a9aj fgh9 "), code);
        assert_eq!(normal_code("a9ajfgh9"), code);
    }
}
