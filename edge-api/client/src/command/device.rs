//! `tessera device`.

use wire::DeviceId;

use super::print::{print_json, print_lines};
use crate::context::Context;
use crate::failure::Failure;

#[derive(clap::Subcommand)]
pub(crate) enum DeviceCommand {
    /// List the account's devices.
    List,
    /// Make a code that links one device to the account, once, within fifteen minutes.
    Link,
    /// Unlink a device: it earns for the account no more.
    Unlink {
        /// As `device list` shows it.
        id: DeviceId,
    },
}

pub(crate) async fn run(context: &Context, command: &DeviceCommand) -> Result<(), Failure> {
    let Context { client, json, .. } = context;
    match command {
        DeviceCommand::List => {
            let devices = client.devices().await?;
            if *json {
                return print_json(&devices);
            }
            if devices.is_empty() {
                context.notes.remark("No devices yet: `tessera device link` makes a code for one.");
            }
            let line = |device: &wire::explorer::PublicDevice| {
                format!(
                    "{}  {:6}  {:7}  {}",
                    device.id,
                    device.class.name(),
                    if device.online { "online" } else { "offline" },
                    device.name
                )
            };
            print_lines(&devices.iter().map(line).collect::<Vec<_>>())
        }
        DeviceCommand::Link => {
            let code = client.device_code().await?;
            if *json {
                return print_json(&code);
            }
            print_lines(&[
                format!("code      {}", code.code),
                format!("use it    tessera-worker run --code {}, or on the page /lend", code.code),
            ])
        }
        DeviceCommand::Unlink { id } => {
            client.unlink_device(*id).await?;
            if *json {
                print_json(&serde_json::json!({ "unlinked": id }))
            } else {
                print_lines(&[format!("unlinked  {id}")])
            }
        }
    }
}
