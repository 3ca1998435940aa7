//! `tessera key`.

use super::print::{print_json, print_lines};
use crate::context::Context;
use crate::failure::Failure;

#[derive(clap::Subcommand)]
pub(crate) enum KeyCommand {
    /// List the account's keys, without their secrets.
    List,
    /// Make a key, which is shown this once.
    Make {
        /// What to call it.
        #[arg(long, default_value = "", hide_default_value = true, allow_hyphen_values = true)]
        name: String,
    },
    /// Revoke a key, with all sessions and devices that it let in.
    Revoke {
        /// As `key list` shows it.
        id: String,
    },
}

pub(crate) async fn run(context: &Context, command: &KeyCommand) -> Result<(), Failure> {
    let Context { client, json, .. } = context;
    match command {
        KeyCommand::List => {
            let keys = client.keys().await?;
            if *json {
                return print_json(&keys);
            }
            if keys.is_empty() {
                context.notes.remark("No keys.");
            }
            print_lines(&keys.iter().map(|key| format!("{}  …{}  {}", key.id, key.hint, key.name)).collect::<Vec<_>>())
        }
        KeyCommand::Make { name } => {
            let made = client.make_key(name).await?;
            if *json {
                return print_json(&made);
            }
            print_lines(&[format!("id        {}", made.key.id), format!("key       {}", made.secret)])
        }
        KeyCommand::Revoke { id } => {
            client.revoke_key(id).await?;
            if *json {
                print_json(&serde_json::json!({ "revoked": id }))
            } else {
                print_lines(&[format!("revoked   {id}")])
            }
        }
    }
}
