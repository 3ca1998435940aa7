use wire::DeviceId;

/// Where the parts of a server are, by the options with which it was started.
#[derive(Clone, Debug, clap::Args)]
pub struct Place {
    /// As the server's.
    #[arg(long, env = "TESSERA_DATABASE_URL", default_value = "sqlite://tessera.db?mode=rwc", hide_env_values = true)]
    pub database_url: String,
    /// As the server's.
    #[arg(long, env = "TESSERA_BLOBS", default_value = "tessera-blobs")]
    pub blobs: String,
    /// As the server's.
    #[arg(long, env = "TESSERA_DISK_RESERVE", default_value = "1073741824")]
    pub disk_reserve: u64,
    /// Address of a server to ask, such as `https://compute.example`. Left out, none is asked.
    #[arg(long, env = "TESSERA_PUBLIC_URL")]
    pub public_url: Option<String>,
    /// Where a server's metrics are, such as `http://127.0.0.1:9464/metrics`. Left out, they are asked for at the server's address
    /// if there is a token.
    #[arg(long)]
    pub metrics_url: Option<String>,
    /// As the server's.
    #[arg(long, env = "TESSERA_METRICS_TOKEN", hide_env_values = true)]
    pub metrics_token: Option<String>,
    /// As the server's.
    #[arg(long = "checker", env = "TESSERA_CHECKERS", value_delimiter = ',')]
    pub checkers: Vec<DeviceId>,
}
