//! A device's coming and going: put on record and into the core, and taken out again.

use anyhow::Context;
use rules::billing::transfer;
use rules::scheduling::challenge::PROOF_LASTS;
use rules::scheduling::device::Device;
use rules::verification::party::Network;
use rules::verification::standing::Standings;
use store::DbConnection;
use store::devices::DeviceRecord;
use wire::device::Earnings;
use wire::{AccountId, AccountKind, DeviceId, ErrorCode, Hello, Micros};

use super::challenge;
use super::closing::{Closing, closing};
use super::scheduler::SocketOrders;
use crate::app::App;
use crate::auth::hash_secret;
use crate::devices::presence::{self, UptimeSample};
use crate::devices::routes::normal_code;
use crate::random;
use crate::retry::retry;

/// Puts the device on record and into the core.
pub async fn admit(
    app: &App,
    hello: &Hello,
    network: Option<Network>,
    number: u64,
) -> anyhow::Result<Result<SocketOrders, Closing>> {
    let now = app.clock.now();
    let written = match retry(|| write_device(app, hello, network, now)).await? {
        Ok(written) => written,
        Err(closing) => return Ok(Err(closing)),
    };
    let Written { account, record, standings, balance } = written;
    let is_guest = balance.as_ref().is_none_or(|account| account.kind == AccountKind::Guest);
    let by_device = record.earned;
    let earnings = balance
        .map(|account| Earnings { available: account.available, pending: account.pending, by_device })
        .unwrap_or_default();
    let mut device = Device::new(account, hello.class, record.verified, hello.buffer_bytes_max);
    (device.is_guest, device.network) = (is_guest, network);
    device.standings = Standings { since: record.created_at, ..standings };
    device.suspended_until = record.suspended_until;
    device.remember_speed(record.worked_flops_per_sec);
    device.remember_line(record.line);
    if let Some(proof) = record.proof.filter(|proof| now - proof.at <= PROOF_LASTS) {
        device.remember_proof(proof);
    }
    device.runs_kernels = hello.runs_kernels;
    device.only_job = hello.only_job;
    let mut state = app.scheduler.lock();
    // An older socket of the same device ends: its leases go to others.
    state.drive(|core, link| core.on_device_left(link, now, hello.device));
    let orders = state.open_socket(hello.device, number, earnings);
    state.core.on_device_joined(hello.device, device);
    state.accounted.entry(hello.device).or_insert(now);
    Ok(Ok(orders))
}

/// A device as it is on record now.
struct Written {
    account: AccountId,
    record: DeviceRecord,
    standings: Standings,
    balance: Option<wire::Account>,
}

async fn write_device(
    app: &App,
    hello: &Hello,
    network: Option<Network>,
    now: Micros,
) -> anyhow::Result<Result<Written, Closing>> {
    // Said again it is written again, but for a code, which is used up. Ten thousand devices do not wait for the disk in turn.
    let mut tx = if hello.code.is_some() { app.db.begin_write().await? } else { app.db.begin_unsynced_write().await? };
    let known = store::devices::find_device(&mut tx, hello.device).await?;
    let key_hash = hello.key.as_deref().map(hash_secret);
    let account = match (&key_hash, &known) {
        (Some(key_hash), _) => {
            let Some(account) = store::accounts::find_account_by_key(&mut tx, key_hash).await? else {
                return Ok(Err(closing(ErrorCode::Unauthorized, "no account has this key")));
            };
            if known.as_ref().is_some_and(|known| known.unlinked_from == Some(account)) {
                let message = "this device was unlinked from the account; link it again with a device code";
                return Ok(Err(closing(ErrorCode::Unauthorized, message)));
            }
            account
        }
        (None, _) if hello.code.is_some() => {
            let code = hash_secret(&normal_code(hello.code.as_deref().unwrap_or_default()));
            let Some(account) = store::devices::take_device_code(&mut tx, &code, now).await? else {
                let message =
                    "this device code is unknown, used or older than fifteen minutes; make another on the lend page";
                return Ok(Err(closing(ErrorCode::UnknownCode, message)));
            };
            account
        }
        (None, Some(known)) => known.account,
        (None, None) => {
            let (millis, bytes) = random::id_parts(now);
            let guest = AccountId::from_parts(millis, bytes);
            store::accounts::insert_account(&mut tx, guest, AccountKind::Guest, "Guest", now).await?;
            guest
        }
    };
    store::devices::upsert_device(&mut tx, hello, account, network, now).await?;
    if key_hash.is_some() || hello.code.is_some() {
        store::devices::link_device(&mut tx, hello.device, key_hash.as_deref()).await?;
    }
    if let Some(known) = known.filter(|known| known.account != account) {
        claim_guest(&mut tx, hello.device, known.account, account, now).await?;
    }
    store::presence::mark_present(&mut tx, &app.replica, hello.device, now).await?;
    let record = store::devices::find_device(&mut tx, hello.device).await?;
    let record = record.context("a device just written should be on record")?;
    let standings = store::standings::find_standings(&mut tx, hello.device).await?;
    let balance = store::accounts::find_account(&mut tx, account, app.config.development).await?;
    tx.commit().await?;
    Ok(Ok(Written { account, record, standings, balance }))
}

/// A device of the operator's: known by its key, paid nothing, and on no list of devices.
pub fn admit_checker(app: &App, hello: &Hello, number: u64) -> anyhow::Result<Result<SocketOrders, Closing>> {
    if !app.config.checkers.contains(&hello.device) {
        let message = format!("this server does not know the checker {}; start it with --checker {0}", hello.device);
        return Ok(Err(closing(ErrorCode::Unauthorized, message)));
    }
    if !hello.runs_kernels {
        let message = "a checker runs kernels, so it needs a GPU or a software adapter: start it with --backend gpu";
        return Ok(Err(closing(ErrorCode::MalformedFrame, message)));
    }
    let mut state = app.scheduler.lock();
    let orders = state.open_socket(hello.device, number, Earnings::default());
    let (now, bytes) = (app.clock.now(), hello.buffer_bytes_max);
    state.drive(|core, link| core.on_checker_joined(link, now, hello.device, bytes));
    tracing::info!(device = %hello.device, name = hello.name, "a checker connected");
    Ok(Ok(orders))
}

/// What a device earned as a guest goes with it to the account that it is linked to. The device's
/// row is locked by now, so no settlement comes in between.
async fn claim_guest(
    conn: &mut DbConnection,
    device: DeviceId,
    from: AccountId,
    to: AccountId,
    now: Micros,
) -> anyhow::Result<()> {
    let is_guest = |account: &wire::Account| account.kind == AccountKind::Guest;
    if !store::accounts::find_account(conn, from, false).await?.is_some_and(|account| is_guest(&account)) {
        return Ok(());
    }
    store::receipts::reassign_receipts(conn, device, to).await?;
    // Read only now: a job's end may have matured some of the receipts until they were locked.
    let Some(guest) = store::accounts::find_account(conn, from, false).await? else { return Ok(()) };
    let transfer = transfer::claim(from, to, device, guest.available, guest.pending, now)?;
    store::ledger::post(conn, &[transfer]).await?;
    Ok(())
}

pub async fn leave(app: &App, device: DeviceId, number: u64) {
    let now = app.clock.now();
    let (sample, was_challenged) = {
        let mut state = app.scheduler.lock();
        if !state.close_socket(device, number) {
            return;
        }
        let was_challenged = state.challenges.withdraw(device);
        let is_checker = state.core.is_checker(device);
        let offer = state.core.offer(device, now);
        let busy = state.core.take_busy(device);
        state.drive(|core, link| core.on_device_left(link, now, device));
        if is_checker {
            return;
        }
        state.unanswered.retain(|_, waiting| *waiting != device);
        let since = state.accounted.remove(&device).unwrap_or(now);
        let is_awake = offer.is_some_and(|offer| offer.is_awake);
        let speed = offer.map_or(0, |offer| offer.flops_per_sec);
        (UptimeSample { device, is_awake, speed, since, busy }, was_challenged)
    };
    if was_challenged {
        challenge::on_left(app, device).await;
    }
    if let Err(error) = presence::record_departure(app, sample, now).await {
        tracing::error!(%error, %device, "a device's leaving could not be written");
    }
}
