//! The account, shown or opened.

use wire::NewAccount;

use super::print::{amount, print_json, print_lines};
use crate::context::Context;
use crate::failure::Failure;

#[derive(clap::Args)]
pub(crate) struct AccountCommand {
    /// Open a new account with faucet credits.
    #[arg(long)]
    pub open: bool,
}

/// Needs no key: it makes one.
pub(crate) async fn open(context: &Context) -> Result<(), Failure> {
    let opened = context.client.open(&NewAccount::default()).await?;
    if context.json {
        return print_json(&opened);
    }
    print_lines(&[
        format!("account   {}", opened.account.id),
        format!("available {}", amount(opened.account.available)),
        format!("key       {}", opened.key),
    ])
}

pub(crate) async fn show(context: &Context) -> Result<(), Failure> {
    let account = context.client.account().await?;
    if context.json {
        return print_json(&account);
    }
    let mut lines = vec![
        format!("account   {}  {}", account.id, account.name),
        format!("available {}", amount(account.available)),
        format!("held      {}", amount(account.held)),
        format!("pending   {}", amount(account.pending)),
    ];
    if account.development {
        lines.push("This is a development server: its credits are worth nothing.".to_owned());
    }
    print_lines(&lines)
}
