//! Config, connect, migrate, serve; nothing else.

use clap::Parser;
use edge_api::config::{Command, Config};
use store::Db;
use tracing_subscriber::EnvFilter;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let filter = EnvFilter::try_from_env("TESSERA_LOG").unwrap_or_else(|_unset| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .init();
    let mut config = Config::parse();
    match config.command.take() {
        Some(Command::PrepareSite) => site::prepare_site(&config.site),
        None => edge_api::server::serve(config).await,
        Some(Command::VerifyAccount { account }) => {
            let db = Db::open(&config.database_url).await?;
            let mut tx = db.begin_write().await?;
            let found = store::accounts::verify_account(&mut tx, account).await?;
            tx.commit().await?;
            db.close().await;
            anyhow::ensure!(found, "there is no customer account {account}");
            Ok(())
        }
    }
}
