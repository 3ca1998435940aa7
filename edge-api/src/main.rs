//! Config, connect, migrate, serve; nothing else.

use clap::Parser;
use edge_api::config::{Command, Config, LogFormat};
use store::Db;
use tracing_subscriber::EnvFilter;

fn main() -> anyhow::Result<()> {
    let mut config = Config::parse();
    // A child has neither a log nor other threads.
    if let Some(Command::Compile { memory, seconds }) = config.command {
        return edge_api::compile::child::run(memory, seconds);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let command = config.command.take();
    runtime.block_on(run(config, command))
}

/// Whatever levels are asked for, nobody writes down frames of sockets, which carry keys and the tokens of leases.
const WITHOUT_FRAMES: [&str; 2] = ["tungstenite=info", "tokio_tungstenite=info"];

fn write_log(format: LogFormat) -> anyhow::Result<()> {
    let mut filter = EnvFilter::try_from_env("TESSERA_LOG").unwrap_or_else(|_unset| EnvFilter::new("info"));
    for directive in WITHOUT_FRAMES {
        filter = filter.add_directive(directive.parse()?);
    }
    // It would complain on standard error that standard error cannot be written, and panic: a full disk ends no task.
    let log = tracing_subscriber::fmt().log_internal_errors(false);
    let log = log.with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        LogFormat::Text => log.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).init(),
        LogFormat::Json => log.json().init(),
    }
    Ok(())
}

async fn run(config: Config, command: Option<Command>) -> anyhow::Result<()> {
    write_log(config.log_format)?;
    match command {
        Some(Command::PrepareSite) => site::prepare_site(&config.site),
        None => edge_api::server::serve(config).await,
        Some(Command::Compile { memory, seconds }) => edge_api::compile::child::run(memory, seconds),
        Some(Command::Convert { memory, seconds }) => edge_api::convert::child::run(memory, seconds),
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
