//! The `tessera` command.

/// A line on standard error. Nobody may be listening there, which is no reason to stop.
macro_rules! say {
    ($($text:tt)*) => {{
        use std::io::Write;
        writeln!(std::io::stderr(), $($text)*).unwrap_or_default();
    }};
}
pub(crate) use say;

mod command;
mod config;
mod failure;
mod interrupt;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use client::Client;

use self::command::print::print_text;
use self::command::{ProgramCommand, account, device, job, key, model, quote};
use self::config::Profile;
use self::failure::Failure;

const URL: &str = "http://127.0.0.1:8080";

const EXIT_CODES: &str = "\
Exit codes:
  0    done
  1    the server could not be reached, or failed
  2    wrong usage, or a file that could not be read or written
  3    the server refused
  4    the job ended without a result
  130  interrupted; a job that was submitted goes on

Amounts are in credits; in JSON they are in micro-credits, as the API has them.
Servers and keys by name: ~/.config/tessera/config.toml, with
  default = \"work\"
  [profiles.work]
  url = \"https://…\"
  key = \"tsk_…\"
Proxies: HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY.";

/// Runs jobs on the Tessera network.
#[derive(clap::Parser)]
#[command(name = "tessera", version, after_help = EXIT_CODES)]
struct Arguments {
    /// The server's address; left out, <http://127.0.0.1:8080>.
    #[arg(long, env = "TESSERA_URL", global = true)]
    url: Option<String>,
    /// The account's key.
    #[arg(long, env = "TESSERA_KEY", hide_env_values = true, global = true)]
    key: Option<String>,
    /// The profile of the configuration file that has server and key.
    #[arg(long, env = "TESSERA_PROFILE", global = true)]
    profile: Option<String>,
    /// The configuration file.
    #[arg(long, env = "TESSERA_CONFIG", value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    /// Answer in JSON, also what went wrong.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    #[command(flatten)]
    Program(ProgramCommand),
    /// Say what a job would be and cost, and submit nothing.
    #[command(subcommand)]
    Quote(quote::QuoteCommand),
    /// Look at jobs, follow them and change them.
    #[command(subcommand)]
    Job(job::JobCommand),
    /// Give a job a public page, where anybody can compute its tiles again.
    Publish(job::JobArgument),
    /// Look at models before there are rows.
    #[command(subcommand)]
    Model(model::ModelCommand),
    /// Show the account, or open one on a development server.
    Account(account::AccountCommand),
    /// Make and revoke the account's keys.
    #[command(subcommand)]
    Key(key::KeyCommand),
    /// The account's devices.
    #[command(subcommand)]
    Device(device::DeviceCommand),
    /// Print what a shell needs to complete this command.
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let said: Vec<OsString> = std::env::args_os().collect();
    let arguments = match Arguments::try_parse_from(&said) {
        Ok(arguments) => arguments,
        Err(error) => return refuse_usage(&error, said.iter().any(|argument| argument == "--json")),
    };
    match run(&arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.report(arguments.json);
            failure.exit_code()
        }
    }
}

/// Help and version are what was asked for; the rest is wrong usage.
fn refuse_usage(error: &clap::Error, json: bool) -> ExitCode {
    if json && error.use_stderr() {
        let failure = Failure::Usage { message: error.to_string().trim().to_owned() };
        failure.report(json);
        return failure.exit_code();
    }
    // Whoever reads may have gone.
    error.print().unwrap_or_default();
    if error.use_stderr() { 2.into() } else { ExitCode::SUCCESS }
}

async fn run(arguments: &Arguments) -> Result<(), Failure> {
    let json = arguments.json;
    if let Command::Completions { shell } = &arguments.command {
        let mut script = Vec::new();
        clap_complete::generate(*shell, &mut Arguments::command(), "tessera", &mut script);
        return print_text(&String::from_utf8_lossy(&script));
    }
    let Profile { url, key } = config::profile(arguments.config.clone(), arguments.profile.as_deref())?;
    let url = arguments.url.clone().or(url).unwrap_or_else(|| URL.to_owned());
    if let Command::Account(account) = &arguments.command
        && account.open
    {
        return account::open(&url, json).await;
    }
    let key = arguments.key.clone().or(key).filter(|key| !key.is_empty()).ok_or(Failure::NoKey)?;
    let client = Client::new(&url, &key)?;
    match &arguments.command {
        Command::Program(program) => program.run(&client, json).await,
        Command::Quote(program) => program.run(&client, json).await,
        Command::Job(command) => job::run(&client, command, json).await,
        Command::Publish(job) => job::publish(&client, job.id, json).await,
        Command::Model(command) => model::run(&client, command, json).await,
        Command::Account(_) => account::show(&client, json).await,
        Command::Key(command) => key::run(&client, command, json).await,
        Command::Device(command) => device::run(&client, command, json).await,
        Command::Completions { .. } => Ok(()),
    }
}
