//! Where blobs are kept, by its address: a folder, or a bucket of S3, Google Cloud or Azure, or of whatever speaks as one
//! of them does.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::local::LocalFileSystem;
use object_store::path::Path as Key;
use object_store::prefix::PrefixStore;
use object_store::signer::Signer;
use object_store::{BackoffConfig, ObjectStore, RetryConfig, path};
use url::Url;

use crate::http::install_tls;

/// What an address may be.
const FORMS: &str = "name a folder, file:///FOLDER, s3://BUCKET/PREFIX, gs://BUCKET/PREFIX, az://CONTAINER/PREFIX, or \
    abfs://CONTAINER@ACCOUNT.dfs.core.windows.net/PREFIX";

/// Why blobs cannot be kept at an address. None of them shows the address as a whole, which may hold a secret.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    #[error("blobs cannot be kept at '{scheme}://': {FORMS}")]
    Scheme { scheme: String },
    #[error("the address of blobs cannot be read: {FORMS}")]
    Malformed,
    #[error("the address of blobs names no bucket: {FORMS}")]
    NoBucket,
    #[error(
        "the address of blobs has a name or a password before '@', which others see in the list of processes: keys come from variables, such as AWS_SECRET_ACCESS_KEY"
    )]
    Secret,
    #[error("for these blobs, set {variable}: {reason}")]
    MissingVariable { variable: &'static str, reason: &'static str },
    #[error("the folder '{}' for blobs cannot be opened", folder.display())]
    Folder {
        folder: PathBuf,
        #[source]
        source: FolderError,
    },
    #[error("the prefix of blobs cannot be a part of objects' names")]
    Prefix(#[source] path::Error),
    #[error("the settings of the bucket for blobs are refused: look at its variables")]
    Settings(#[source] object_store::Error),
}

#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    #[error(transparent)]
    System(#[from] std::io::Error),
    #[error(transparent)]
    Store(#[from] object_store::Error),
}

/// The variables of this process that buckets read, as other programs name them.
#[derive(Clone, Default)]
pub struct Variables(BTreeMap<String, String>);

/// Without their values.
impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Variables {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        Self(pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

impl Variables {
    pub fn of_process() -> Self {
        std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect()
    }

    fn has(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|value| !value.is_empty())
    }

    fn is_true(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|value| matches!(value.to_ascii_lowercase().as_str(), "true" | "1" | "yes" | "on"))
    }

    /// Of one cloud. The store knows most of them without their prefix too, and would take a stranger's `TOKEN`.
    fn settings<K: FromStr>(&self, prefix: &str) -> impl Iterator<Item = (K, &String)> {
        let own = self.0.iter().filter(move |(name, value)| name.starts_with(prefix) && !value.is_empty());
        own.filter_map(|(name, value)| Some((name.to_ascii_lowercase().parse().ok()?, value)))
    }
}

/// A store that is open; whether it answers is another question.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) store: Arc<dyn ObjectStore>,
    /// Where it is one.
    pub(super) folder: Option<Arc<Path>>,
    pub(super) signing: Option<Signing>,
}

/// What makes addresses of objects that open them for a while.
#[derive(Clone, Debug)]
pub(super) struct Signing {
    pub(super) signer: Arc<dyn Signer>,
    /// Before the names of objects.
    pub(super) prefix: Key,
}

impl Place {
    pub(super) fn open(address: &str, variables: &Variables) -> Result<Self, PlaceError> {
        let Some((scheme, _)) = address.split_once("://") else { return Self::in_folder(Path::new(address)) };
        let url: Url = address.parse().map_err(|_unreadable: url::ParseError| PlaceError::Malformed)?;
        if url.query().is_some() || url.fragment().is_some() {
            return Err(PlaceError::Malformed);
        }
        let is_azure = matches!(url.scheme(), "az" | "azure" | "abfs" | "abfss");
        if url.password().is_some() || (!url.username().is_empty() && !is_azure) {
            return Err(PlaceError::Secret);
        }
        install_tls();
        match url.scheme() {
            "file" => {
                let folder = url.to_file_path().map_err(|()| PlaceError::Malformed)?;
                Self::in_folder(&folder)
            }
            "s3" | "s3a" => Self::in_s3(&url, variables),
            "gs" => Self::in_google(&url, variables),
            _ if is_azure => Self::in_azure(&url, variables),
            _ => Err(PlaceError::Scheme { scheme: scheme.to_owned() }),
        }
    }

    fn in_folder(folder: &Path) -> Result<Self, PlaceError> {
        let open = || {
            std::fs::create_dir_all(folder)?;
            Ok(LocalFileSystem::new_with_prefix(folder)?.with_fsync(true))
        };
        let store = open().map_err(|source| PlaceError::Folder { folder: folder.to_owned(), source })?;
        Ok(Self { store: Arc::new(store), folder: Some(folder.into()), signing: None })
    }

    fn in_s3(url: &Url, variables: &Variables) -> Result<Self, PlaceError> {
        require_s3_variables(variables)?;
        let builder = AmazonS3Builder::new().with_url(bucket_of(url)?).with_retry(retries());
        let settings = variables.settings::<AmazonS3ConfigKey>("AWS_");
        let builder = settings.fold(builder, |builder, (key, value)| builder.with_config(key, value));
        let bucket = builder.build().map_err(PlaceError::Settings)?;
        Self::in_bucket(url, bucket.clone(), Some(Arc::new(bucket)))
    }

    fn in_google(url: &Url, variables: &Variables) -> Result<Self, PlaceError> {
        let builder = GoogleCloudStorageBuilder::new().with_url(bucket_of(url)?).with_retry(retries());
        let settings = variables.settings::<GoogleConfigKey>("GOOGLE_");
        let builder = settings.fold(builder, |builder, (key, value)| builder.with_config(key, value));
        let bucket = builder.build().map_err(PlaceError::Settings)?;
        Self::in_bucket(url, bucket.clone(), Some(Arc::new(bucket)))
    }

    /// Its signed addresses cannot say as what the store is to send an object, so that none are made.
    fn in_azure(url: &Url, variables: &Variables) -> Result<Self, PlaceError> {
        let is_named = !url.username().is_empty() || variables.is_true("AZURE_STORAGE_USE_EMULATOR");
        if !is_named && !variables.has("AZURE_STORAGE_ACCOUNT_NAME") {
            let reason = "a container is found in a storage account alone; or write abfs://CONTAINER@ACCOUNT.dfs.core.windows.net";
            return Err(PlaceError::MissingVariable { variable: "AZURE_STORAGE_ACCOUNT_NAME", reason });
        }
        let builder = MicrosoftAzureBuilder::new().with_url(bucket_of(url)?).with_retry(retries());
        let settings = variables.settings::<AzureConfigKey>("AZURE_");
        let builder = settings.fold(builder, |builder, (key, value)| builder.with_config(key, value));
        let container = builder.build().map_err(PlaceError::Settings)?;
        Self::in_bucket(url, container, None)
    }

    fn in_bucket(url: &Url, bucket: impl ObjectStore, signer: Option<Arc<dyn Signer>>) -> Result<Self, PlaceError> {
        let prefix = Key::from_url_path(url.path()).map_err(PlaceError::Prefix)?;
        let store = Arc::new(PrefixStore::new(bucket, prefix.clone()));
        Ok(Self { store, folder: None, signing: signer.map(|signer| Signing { signer, prefix }) })
    }
}

/// How long a store that is away is waited for.
const AWAY_FOR: Duration = Duration::from_secs(60);
const PAUSE_FIRST: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(3);

/// The time bounds them; the usual ten attempts are over within seconds.
fn retries() -> RetryConfig {
    let backoff = BackoffConfig { init_backoff: PAUSE_FIRST, max_backoff: PAUSE_MAX, ..BackoffConfig::default() };
    RetryConfig { backoff, max_retries: usize::MAX, retry_timeout: AWAY_FOR }
}

/// The address, if it names a bucket.
fn bucket_of(url: &Url) -> Result<&str, PlaceError> {
    if url.host_str().is_none_or(str::is_empty) { Err(PlaceError::NoBucket) } else { Ok(url.as_str()) }
}

/// What the store would find missing at the first request alone, or wait minutes for.
fn require_s3_variables(variables: &Variables) -> Result<(), PlaceError> {
    let missing = |variable, reason| Err(PlaceError::MissingVariable { variable, reason });
    let names = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"];
    let endpoint = names.into_iter().find(|name| variables.has(name)).and_then(|name| variables.0.get(name));
    if endpoint.is_some_and(|endpoint| endpoint.starts_with("http://")) && !variables.is_true("AWS_ALLOW_HTTP") {
        return missing(
            "AWS_ALLOW_HTTP=true",
            "the endpoint is not https, so that whoever is on the way reads all blobs",
        );
    }
    match (variables.has("AWS_ACCESS_KEY_ID"), variables.has("AWS_SECRET_ACCESS_KEY")) {
        (true, true) => return Ok(()),
        (true, false) => {
            return missing("AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID is there, and says nothing without it");
        }
        (false, true) => {
            return missing("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY is there, and says nothing without it");
        }
        (false, false) => {}
    }
    // Machines and containers of Amazon's ask their own for keys.
    let is_amazon = endpoint.is_none_or(|endpoint| endpoint.trim_end_matches('/').ends_with(".amazonaws.com"));
    let has_role =
        ["AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"];
    let has_role = has_role.iter().any(|name| variables.has(name)) || variables.has("AWS_METADATA_ENDPOINT");
    if is_amazon || has_role || variables.is_true("AWS_SKIP_SIGNATURE") {
        return Ok(());
    }
    missing("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY", "a store that is not Amazon's knows nobody without them")
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: [(&str, &str); 2] = [("AWS_ACCESS_KEY_ID", "key"), ("AWS_SECRET_ACCESS_KEY", "much-secret")];
    const ENDPOINT: (&str, &str) = ("AWS_ENDPOINT", "https://s3.test");

    fn open(address: &str, variables: &[(&str, &str)]) -> Result<Place, PlaceError> {
        Place::open(address, &variables.iter().copied().collect())
    }

    fn refusal(address: &str, variables: &[(&str, &str)]) -> String {
        open(address, variables).unwrap_err().to_string()
    }

    /// Where an object is found, by an address that is signed for it.
    async fn object(address: &str, variables: &[(&str, &str)]) -> String {
        let Signing { signer, prefix } = open(address, variables).unwrap().signing.unwrap();
        let second = Duration::from_secs(1);
        let mut url = signer.signed_url(axum::http::Method::GET, &prefix.join("x"), second).await.unwrap();
        url.set_query(None);
        url.to_string()
    }

    #[test]
    fn a_folder_is_named_as_it_is_or_by_its_address() {
        let parent = tempfile::TempDir::new().unwrap();
        let (plain, by_url) = (parent.path().join("a b"), parent.path().join("c d"));

        let folder = |address: &str| open(address, &[]).unwrap().folder.unwrap().to_path_buf();

        assert_eq!(folder(&plain.display().to_string()), plain);
        assert_eq!(folder(&format!("file://{}/c%20d", parent.path().display())), by_url);
        assert!(plain.is_dir() && by_url.is_dir());
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();

        let error = open(&file.path().join("blobs").display().to_string(), &[]).unwrap_err();

        assert!(matches!(&error, PlaceError::Folder { folder, .. } if folder.starts_with(file.path())), "{error}");
    }

    #[tokio::test]
    async fn buckets_are_found_where_their_address_and_variables_say() {
        let [id, secret] = KEYS;
        let region = ("AWS_REGION", "eu-central-1");
        let style = ("AWS_VIRTUAL_HOSTED_STYLE_REQUEST", "true");

        assert_eq!(object("s3://b", &KEYS).await, "https://s3.us-east-1.amazonaws.com/b/x");
        assert_eq!(object("s3://b/p/q", &[id, secret, region]).await, "https://s3.eu-central-1.amazonaws.com/b/p/q/x");
        assert_eq!(object("s3a://b/p/", &[id, secret, ENDPOINT]).await, "https://s3.test/b/p/x");
        let own = [
            id,
            secret,
            ENDPOINT,
            ("AWS_ENDPOINT_URL", "https://two.test"),
            ("AWS_ENDPOINT_URL_S3", "https://one.test"),
        ];
        assert_eq!(object("s3://b", &own).await, "https://one.test/b/x");
        assert_eq!(object("s3://b", &own[..4]).await, "https://two.test/b/x");
        assert_eq!(object("s3://b", &[id, secret, region, style]).await, "https://b.s3.eu-central-1.amazonaws.com/x");
        let hosted = [id, secret, style, ("AWS_ENDPOINT", "https://b.s3.test")];
        assert_eq!(object("s3://b/p", &hosted).await, "https://b.s3.test/p/x");
    }

    #[test]
    fn variables_of_other_programs_are_not_a_buckets() {
        let strange = [("ENDPOINT", "https://elsewhere.test"), ("BUCKET", "other"), ("TOKEN", "x"), ("REGION", "mars")];
        let variables: Variables = KEYS.iter().chain(&strange).copied().collect();

        assert_eq!(variables.settings::<AmazonS3ConfigKey>("AWS_").count(), 2);
        assert_eq!(object_store::aws::AmazonS3ConfigKey::from_str("token").unwrap(), AmazonS3ConfigKey::Token);
    }

    #[test]
    fn google_and_azure_are_opened_by_their_addresses() {
        let name = ("AZURE_STORAGE_ACCOUNT_NAME", "ada");
        let key = ("AZURE_STORAGE_ACCOUNT_KEY", "a2V5");
        for (address, variables, is_signed) in [
            ("gs://b/p", vec![("GOOGLE_SKIP_SIGNATURE", "true")], true),
            ("az://c/p", vec![name, key], false),
            ("abfs://c@ada.dfs.core.windows.net/p", vec![key], false),
            ("abfss://c@ada.dfs.core.windows.net/p", vec![key], false),
            ("az://c/p", vec![("AZURE_STORAGE_USE_EMULATOR", "true")], false),
        ] {
            let place = open(address, &variables).unwrap_or_else(|error| panic!("{address}: {error:?}"));

            assert!(place.folder.is_none(), "{address}");
            assert_eq!(place.signing.is_some(), is_signed, "{address}");
        }
    }

    #[test]
    fn what_is_no_place_is_refused_with_what_to_do() {
        assert_eq!(refusal("ftp://host/x", &[]), format!("blobs cannot be kept at 'ftp://': {FORMS}"));
        assert_eq!(refusal("https://s3.amazonaws.com/b", &[]), format!("blobs cannot be kept at 'https://': {FORMS}"));
        for address in ["s3:///p", "gs:///p"] {
            assert_eq!(refusal(address, &KEYS), format!("the address of blobs names no bucket: {FORMS}"), "{address}");
        }
        for address in ["s3://b/p?region=x", "s3://b/p#x", "file://host/x", "s3://b:x/p"] {
            assert_eq!(refusal(address, &KEYS), format!("the address of blobs cannot be read: {FORMS}"), "{address}");
        }
        assert!(matches!(open("az://c@ada/p", &[("AZURE_STORAGE_ACCOUNT_KEY", "a2V5")]), Err(PlaceError::Settings(_))));
        assert!(matches!(open("s3://b/a//b", &KEYS), Err(PlaceError::Prefix(_))));
    }

    #[test]
    fn a_missing_variable_is_named() {
        let missing = |address, variables: &[(&str, &str)]| match open(address, variables) {
            Err(PlaceError::MissingVariable { variable, .. }) => variable,
            other => panic!("{address}: {other:?}"),
        };
        let [id, secret] = KEYS;

        assert_eq!(missing("s3://b", &[id]), "AWS_SECRET_ACCESS_KEY");
        assert_eq!(missing("s3://b", &[secret, ("AWS_ACCESS_KEY_ID", "")]), "AWS_ACCESS_KEY_ID");
        assert_eq!(missing("s3://b", &[ENDPOINT]), "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY");
        assert_eq!(missing("s3://b", &[id, secret, ("AWS_ENDPOINT", "http://s3.test")]), "AWS_ALLOW_HTTP=true");
        assert_eq!(missing("az://c/p", &[]), "AZURE_STORAGE_ACCOUNT_NAME");
        assert_eq!(missing("abfs://c/p", &[]), "AZURE_STORAGE_ACCOUNT_NAME");
        assert!(open("s3://b", &[]).is_ok(), "a machine of Amazon's has keys of its own");
        assert!(open("s3://b", &[ENDPOINT, ("AWS_SKIP_SIGNATURE", "true")]).is_ok());
    }

    #[test]
    fn no_error_and_no_debug_text_shows_a_secret() {
        let error = open("s3://key:much-secret@b/p", &[]).unwrap_err();
        assert!(matches!(error, PlaceError::Secret) && !format!("{error:?} {error}").contains("much-secret"));
        assert!(matches!(open("gs://key@b/p", &[]), Err(PlaceError::Secret)));
        assert!(matches!(open("az://c:much-secret@ada/p", &[]), Err(PlaceError::Secret)));

        let variables: Variables = KEYS.into_iter().collect();
        assert_eq!(format!("{variables:?}"), "{\"AWS_ACCESS_KEY_ID\", \"AWS_SECRET_ACCESS_KEY\"}");
    }
}
