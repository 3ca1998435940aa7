//! Devices that are taken from an account: a guest's from then on, and disconnected wherever they are connected.

use store::DbConnection;
use wire::{AccountId, AccountKind, DeviceId, ErrorCode, Micros};

use crate::app::App;
use crate::fleet::closing::closing;
use crate::random;

/// How far back unlinked devices are looked for: longer than a heartbeat takes.
const LOOK_BACK: Micros = 120_000_000;

/// `for_good`: the account's keys link it no more. `false` when it is none of the account's.
pub async fn unlink(
    conn: &mut DbConnection,
    account: AccountId,
    device: DeviceId,
    for_good: bool,
    now: Micros,
) -> anyhow::Result<bool> {
    let (millis, bytes) = random::id_parts(now);
    let guest = AccountId::from_parts(millis, bytes);
    store::accounts::insert_account(conn, guest, AccountKind::Guest, "Guest", now).await?;
    Ok(store::devices::unlink_device(conn, device, (account, guest), for_good, now).await?)
}

/// Ends the sockets of unlinked devices here.
pub fn disconnect(app: &App, devices: &[DeviceId]) {
    let mut state = app.scheduler.lock();
    for device in devices {
        let message =
            "this device was unlinked from its account; link it again with a device code, or a key that holds";
        state.disconnect(*device, closing(ErrorCode::Unauthorized, message));
    }
}

/// Those that another replica unlinked, which has not their sockets.
pub async fn disconnect_unlinked(app: &App, now: Micros) -> anyhow::Result<()> {
    let devices = store::devices::list_unlinked_devices(&mut *app.db.read().await?, now - LOOK_BACK).await?;
    disconnect(app, &devices);
    Ok(())
}
