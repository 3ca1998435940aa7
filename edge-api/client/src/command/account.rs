//! The account, shown or opened.

use client::Client;
use wire::NewAccount;

use super::print::print_json;
use crate::failure::Failure;

#[derive(clap::Args)]
pub(crate) struct AccountCommand {
    /// Open a new account with faucet credits.
    #[arg(long)]
    pub open: bool,
}

/// Needs no key: it makes one.
pub(crate) async fn open(url: &str, json: bool) -> Result<(), Failure> {
    let opened = Client::open_account(url, &NewAccount::default()).await?;
    if json {
        print_json(&opened);
    } else {
        println!("account   {}", opened.account.id);
        println!("available {} credits", opened.account.available);
        println!("key       {}", opened.key);
    }
    Ok(())
}

pub(crate) async fn show(client: &Client, json: bool) -> Result<(), Failure> {
    let account = client.account().await?;
    if json {
        print_json(&account);
        return Ok(());
    }
    println!("account   {}  {}", account.id, account.name);
    println!("available {} credits", account.available);
    println!("held      {}", account.held);
    println!("pending   {}", account.pending);
    if account.development {
        println!("This is a development server: its credits are worth nothing.");
    }
    Ok(())
}
