use std::net::SocketAddr;
use std::path::PathBuf;

use ipnet::IpNet;
use wire::PricePerCu;

use crate::blobs::place::Variables;

/// The edge: accounts, jobs and devices over HTTP, and the pages.
#[derive(Clone, Debug, clap::Parser)]
#[command(name = "edge-api", version)]
pub struct Config {
    /// Address to listen on.
    #[arg(long, env = "TESSERA_LISTEN", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    /// `sqlite://FILE?mode=rwc` or `postgres://…`.
    #[arg(long, env = "TESSERA_DATABASE_URL", default_value = "sqlite://tessera.db?mode=rwc", hide_env_values = true)]
    pub database_url: String,
    /// Where blobs are kept: a folder, `file:///FOLDER`, `s3://BUCKET/PREFIX`, `gs://BUCKET/PREFIX`, or
    /// `az://CONTAINER/PREFIX`. Endpoint, region and keys come from the usual `AWS_…`, `GOOGLE_…` and `AZURE_…` variables.
    #[arg(long, env = "TESSERA_BLOBS", default_value = "tessera-blobs")]
    pub blobs: String,
    /// What that place's variables say.
    #[arg(skip = Variables::of_process())]
    pub blob_variables: Variables,
    /// Owners of blobs of so many bytes and more are sent to the bucket for them, by an address that opens the one blob for
    /// a minute, where they ask for that. Customers must reach the bucket's endpoint. Left out, all goes through this server.
    #[arg(long, env = "TESSERA_BLOB_REDIRECT_BYTES", value_parser = clap::value_parser!(u64).range(1..))]
    pub blob_redirect_bytes: Option<u64>,
    /// Folder with the built pages.
    #[arg(long, env = "TESSERA_SITE", default_value = "target/site")]
    pub site: PathBuf,
    /// Folder with programs to download, named `tessera-SYSTEM-PROCESSOR` and `tessera-worker-SYSTEM-PROCESSOR`. Left out,
    /// those beside this program are served for its own system.
    #[arg(long, env = "TESSERA_DOWNLOADS")]
    pub downloads: Option<PathBuf>,
    /// The address people reach this server at, for canonical links.
    #[arg(long, env = "TESSERA_PUBLIC_URL", default_value = "http://127.0.0.1:8080")]
    pub public_url: String,
    /// Further addresses that devices reach this server at, such as `http://edge:8080`: a device signs which server it
    /// means.
    #[arg(long = "device-origin", env = "TESSERA_DEVICE_ORIGINS", value_delimiter = ',')]
    pub device_origins: Vec<String>,
    /// Anyone may open an account with faucet credits, which are worth nothing.
    #[arg(long, env = "TESSERA_DEVELOPMENT")]
    pub development: bool,
    /// Price of one CU, in pico-credits: a credit is 1000000000000 of them.
    #[arg(long, env = "TESSERA_PRICE", default_value = "20000000", value_parser = clap::value_parser!(i64).range(0..))]
    pub price: i64,
    /// The platform's part of each payment, in hundredths of a percent.
    #[arg(long, env = "TESSERA_FEE_BPS", default_value = "1000", value_parser = clap::value_parser!(i64).range(0..=10_000))]
    pub fee_bps: i64,
    /// Largest upload, in bytes.
    #[arg(long, env = "TESSERA_BLOB_BYTES_MAX", default_value = "1073741824")]
    pub blob_bytes_max: u64,
    /// Ids of the operator's own devices that recompute what this server's processor cannot
    /// (`tessera-worker id` prints one). Without any, kernels run where devices with standing of two other
    /// accounts are connected, and on customers' own devices.
    #[arg(long = "checker", env = "TESSERA_CHECKERS", value_delimiter = ',')]
    pub checkers: Vec<wire::DeviceId>,
    /// Seconds in each of which, at one instant that nobody can foresee, all devices are asked to show how fast they are;
    /// 0 for never. The same for all servers on one database.
    #[arg(long, env = "TESSERA_CHALLENGE_SECONDS", default_value = "600", value_parser = clap::value_parser!(u32).range(0..=86_400))]
    pub challenge_seconds: u32,
    /// Most tiles that a device is lent at once. Left out, as many as it is good for.
    #[arg(long, env = "TESSERA_LEASE_TILES_MAX", value_parser = clap::value_parser!(u64).range(1..))]
    pub lease_tiles_max: Option<u64>,
    /// How the log on standard error is written: a line an event, or a JSON object.
    #[arg(long, env = "TESSERA_LOG_FORMAT", value_enum, default_value = "text")]
    pub log_format: LogFormat,
    /// Address of a collector of traces, to which they are sent by OTLP over HTTP; the other variables of OpenTelemetry for that
    /// are read too. Left out, none are made.
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT")]
    pub traces_endpoint: Option<String>,
    #[command(flatten)]
    pub limits: LimitsConfig,
    #[command(flatten)]
    pub compile: CompileConfig,
    #[command(flatten)]
    pub metrics: MetricsConfig,
    #[command(subcommand)]
    pub command: Option<Command>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    Text,
    Json,
}

/// What strangers may take of this machine.
#[derive(Clone, Debug, clap::Args)]
pub struct LimitsConfig {
    /// Networks of the proxies in front of this server, such as `10.0.0.0/8`: what they say in
    /// `X-Forwarded-For` or `Forwarded` is the address that limits go by.
    #[arg(long = "trusted-proxy", env = "TESSERA_TRUSTED_PROXIES", value_delimiter = ',')]
    pub trusted_proxies: Vec<IpNet>,
    /// Connections at once, devices' sockets among them.
    #[arg(long, env = "TESSERA_CONNECTIONS_MAX", default_value = "16384", value_parser = clap::value_parser!(u32).range(1..))]
    pub connections_max: u32,
    /// Connections of one address at once; a trusted proxy may have all.
    #[arg(long, env = "TESSERA_CONNECTIONS_PER_ADDRESS_MAX", default_value = "512")]
    pub connections_per_address_max: u32,
    /// Bytes of request bodies that may be in memory at once.
    #[arg(long, env = "TESSERA_BODY_BYTES_MAX", default_value = "536870912")]
    pub body_bytes_max: u64,
    /// Bytes of an account's uploads that are kept.
    #[arg(long, env = "TESSERA_ACCOUNT_BYTES_MAX", default_value = "107374182400")]
    pub account_bytes_max: u64,
    /// Free bytes that uploads leave on the disks of the blobs and of the `SQLite` file.
    #[arg(long, env = "TESSERA_DISK_RESERVE", default_value = "1073741824")]
    pub disk_reserve: u64,
    /// Days after which a blob that no job and no receipt refers to is deleted.
    #[arg(long, env = "TESSERA_BLOB_DAYS", default_value = "7", value_parser = clap::value_parser!(i64).range(1..=3650))]
    pub blob_days: i64,
}

impl LimitsConfig {
    /// How long a blob is kept after its last use.
    pub fn blob_grace(&self) -> wire::Micros {
        self.blob_days * 86_400_000_000
    }
}

/// What strangers' models and kernels may take while they are read, planned and computed here.
#[derive(Clone, Debug, clap::Args)]
pub struct CompileConfig {
    /// Bytes of memory of a process that reads strangers' models; a small model may take less.
    #[arg(long, env = "TESSERA_COMPILE_BYTES_MAX", default_value = "8589934592")]
    pub compile_bytes_max: u64,
    /// Seconds that such a process may take for one answer.
    #[arg(long, env = "TESSERA_COMPILE_SECONDS", default_value = "30", value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub compile_seconds: u32,
    /// The program with the subcommand `compile`. Left out, this one.
    #[arg(long, hide = true)]
    pub compiler: Option<PathBuf>,
}

/// Who may read `/metrics`; nobody unless one of these is given.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct MetricsConfig {
    /// Address of its own at which `/metrics` is served to whoever reaches it, such as `127.0.0.1:9464`.
    #[arg(long, env = "TESSERA_METRICS_LISTEN")]
    pub metrics_listen: Option<SocketAddr>,
    /// Token of at least 16 characters, sent as `Authorization: Bearer …`, for which `/metrics` is served at the server's own
    /// address; it is then asked for at `--metrics-listen` too.
    #[arg(long, env = "TESSERA_METRICS_TOKEN", hide_env_values = true, value_parser = long_token)]
    pub metrics_token: Option<String>,
}

impl MetricsConfig {
    pub fn is_on(&self) -> bool {
        self.metrics_listen.is_some() || self.metrics_token.is_some()
    }
}

/// Shorter ones are guessed, and an empty one is a variable that was not set.
const TOKEN_CHARS_MIN: usize = 16;

fn long_token(text: &str) -> Result<String, String> {
    if text.chars().count() < TOKEN_CHARS_MIN {
        return Err(format!("a token has at least {TOKEN_CHARS_MIN} characters"));
    }
    Ok(text.to_owned())
}

#[derive(Clone, Debug, clap::Subcommand)]
pub enum Command {
    /// Mark an account as known to the operator, so that its devices may run jobs of class `known`.
    VerifyAccount { account: wire::AccountId },
    /// Pack the site's files for browsers, beside themselves. Run after each build of the site.
    PrepareSite,
    /// Read, plan and compute what strangers wrote, over standard input and output.
    #[command(hide = true)]
    Compile {
        /// Bytes of memory that this process may have.
        memory: u64,
        /// Processor seconds for one answer.
        seconds: u32,
    },
    /// Make arrays of a stranger's file, over standard input and output.
    #[command(hide = true)]
    Convert {
        /// Bytes of memory that this process may have.
        memory: u64,
        /// Processor seconds.
        seconds: u32,
    },
}

impl Config {
    /// The operator has named devices that recompute; without any, devices of other accounts do.
    pub fn has_checkers(&self) -> bool {
        !self.checkers.is_empty()
    }

    /// The origins that devices may mean by this server.
    pub fn origins(&self) -> impl Iterator<Item = &str> {
        let known = std::iter::once(&self.public_url).chain(&self.device_origins);
        known.map(|url| url.trim_end_matches('/'))
    }

    pub fn price(&self) -> PricePerCu {
        PricePerCu(self.price)
    }
}
