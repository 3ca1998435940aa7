//! Which server, and whose key: by flags, by the environment, or by name out of a file.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use etcetera::{BaseStrategy, choose_base_strategy};
use serde::Deserialize;

use crate::failure::Failure;

/// The server where nobody names one.
const URL: &str = "http://127.0.0.1:8080";

/// Servers and keys, as far as they are said.
#[derive(Debug, Default)]
pub(crate) struct Said {
    /// By flags.
    pub flags: Profile,
    /// By `TESSERA_URL` and `TESSERA_KEY`.
    pub environment: Profile,
    /// By `--profile`.
    pub profile: Option<String>,
    /// By `TESSERA_PROFILE`.
    pub usual_profile: Option<String>,
    /// Where the file has to be.
    pub file: Option<PathBuf>,
}

/// A server, and the key there if one is needed.
#[derive(Debug)]
pub(crate) struct Account {
    pub url: String,
    pub key: Result<String, Failure>,
    /// Why the configuration file was passed over.
    pub warning: Option<Failure>,
}

impl Said {
    /// Flags go before a profile that is named by a flag, that before the environment, that before the usual profile. A key
    /// that stands beside a server is for that server alone.
    pub(crate) fn account(&self, needs_key: bool) -> Result<Account, Failure> {
        let mut sources = vec![("that --key says", self.flags.clone())];
        let mut warning = None;
        match &self.profile {
            Some(name) => sources.push(("of the profile", profile(self.file.as_deref(), Some(name))?)),
            None => sources.push(("in TESSERA_KEY", self.environment.clone())),
        }
        let lacks = |sources: &[(&str, Profile)]| {
            find_url(sources).is_none() || needs_key && find_key(sources, find_url(sources)).is_none()
        };
        if self.profile.is_none() && lacks(&sources) {
            match profile(self.file.as_deref(), self.usual_profile.as_deref()) {
                Ok(profile) => sources.push(("of the profile", profile)),
                Err(failure) if self.file.is_some() || self.usual_profile.is_some() => return Err(failure),
                Err(failure) if needs_key && sources.iter().all(|(_, source)| source.key.is_none()) => {
                    return Err(failure);
                }
                Err(failure) => warning = Some(failure),
            }
        }
        let url = find_url(&sources);
        let key = find_key(&sources, url).map(str::to_owned).ok_or_else(|| self.no_key(&sources, url.unwrap_or(URL)));
        Ok(Account { url: url.unwrap_or(URL).to_owned(), key, warning })
    }

    fn no_key(&self, sources: &[(&'static str, Profile)], url: &str) -> Failure {
        let of_another = sources.iter().find(|(_, source)| source.key.is_some());
        match (of_another, &self.profile) {
            (Some((from, _)), _) => Failure::KeyOfAnother { url: url.to_owned(), from },
            (None, Some(name)) => Failure::NoKeyInProfile { name: name.clone() },
            (None, None) => Failure::NoKey,
        }
    }
}

fn find_url<'a>(sources: &'a [(&str, Profile)]) -> Option<&'a str> {
    sources.iter().find_map(|(_, source)| source.url.as_deref())
}

/// The first key that stands alone, or beside this server.
fn find_key<'a>(sources: &'a [(&str, Profile)], url: Option<&str>) -> Option<&'a str> {
    let origin = |url: &str| url.trim_end_matches('/').to_owned();
    let is_for = |source: &Profile| source.url.is_none() || source.url.as_deref().map(origin) == url.map(origin);
    sources.iter().filter(|(_, source)| is_for(source)).find_map(|(_, source)| source.key.as_deref())
}

/// A variable of the environment; an empty one says nothing.
pub(crate) fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// The same as text. Bytes that are none stay visible in what is said about it.
pub(crate) fn text_variable(name: &str) -> Option<String> {
    variable(name).map(|value| value.to_string_lossy().trim().to_owned()).filter(|value| !value.is_empty())
}

/// `config.toml`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// The profile that is taken where none is named.
    default: Option<String>,
    #[serde(default)]
    profiles: BTreeMap<String, Profile>,
}

/// A server, and a key there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Profile {
    pub url: Option<String>,
    pub key: Option<String>,
}

/// Where the file is looked for: `tessera/config.toml` in the user's folder for settings.
fn usual_place() -> Option<PathBuf> {
    Some(choose_base_strategy().ok()?.config_dir().join("tessera/config.toml"))
}

/// The profile of that name, or the default one. `path` is where a file has to be; without it there may be none.
fn profile(path: Option<&Path>, name: Option<&str>) -> Result<Profile, Failure> {
    let is_named = path.is_some();
    let Some(path) = path.map(Path::to_owned).or_else(usual_place) else { return no_file(name) };
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !is_named => return no_file(name),
        Err(source) => return Err(Failure::ConfigFile { path: path.display().to_string(), source }),
    };
    read(&text, name).map_err(|message| Failure::Config { path: path.display().to_string(), message })
}

fn no_file(name: Option<&str>) -> Result<Profile, Failure> {
    match name {
        None => Ok(Profile::default()),
        Some(name) => Err(Failure::NoProfile { name: name.to_owned() }),
    }
}

fn read(text: &str, name: Option<&str>) -> Result<Profile, String> {
    let config: Config = toml::from_str(text).map_err(|error| error.to_string().trim_end().to_owned())?;
    let Some(name) = name.or(config.default.as_deref()) else { return Ok(Profile::default()) };
    let known = || config.profiles.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
    config.profiles.get(name).cloned().ok_or_else(|| match config.profiles.len() {
        0 => format!("there is no profile '{name}': write [profiles.{name}] with url and key"),
        _ => format!("there is no profile '{name}'; there are: {}", known()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"
default = "work"
[profiles.work]
url = "https://tessera.example"
key = "tsk_1"
[profiles.home]
url = "http://127.0.0.1:8080"
"#;

    #[test]
    fn a_profile_is_found_by_its_name_and_the_default_one_without() {
        let work = Profile { url: Some("https://tessera.example".to_owned()), key: Some("tsk_1".to_owned()) };

        assert_eq!(read(FILE, None), Ok(work.clone()));
        assert_eq!(read(FILE, Some("work")), Ok(work));
        assert_eq!(read(FILE, Some("home")).unwrap().key, None);
        assert_eq!(read("", None), Ok(Profile::default()));
    }

    fn pair(url: &str, key: &str) -> Profile {
        let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        Profile { url: some(url), key: some(key) }
    }

    /// Flags and environment, a profile by flag, and the file.
    fn chosen(flags: Profile, environment: Profile, profile: Option<&str>) -> (String, Result<String, String>) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.toml");
        std::fs::write(&file, FILE).unwrap();
        let profile = profile.map(str::to_owned);
        let said = Said { flags, environment, profile, usual_profile: None, file: Some(file) };
        let account = said.account(true).unwrap();
        (account.url, account.key.map_err(|failure| failure.to_string()))
    }

    #[test]
    fn flags_go_before_a_named_profile_that_before_the_environment_and_that_before_the_usual_profile() {
        let (none, environment) = (Profile::default(), pair("http://env", "env"));
        let said = |url: &str, key: &str| (url.to_owned(), Ok(key.to_owned()));

        assert_eq!(chosen(none.clone(), none.clone(), None), said("https://tessera.example", "tsk_1"));
        assert_eq!(chosen(none.clone(), environment.clone(), None), said("http://env", "env"));
        assert_eq!(chosen(none.clone(), environment.clone(), Some("work")), said("https://tessera.example", "tsk_1"));
        assert_eq!(chosen(pair("http://flag", "flag"), environment.clone(), Some("work")), said("http://flag", "flag"));
        assert_eq!(chosen(pair("", "flag"), environment, None), said("http://env", "flag"));
        assert_eq!(chosen(none, pair("", "env"), None), said("https://tessera.example", "env"));
        assert_eq!(chosen(pair("http://flag", ""), pair("", "env"), None), said("http://flag", "env"));
    }

    #[test]
    fn a_key_that_stands_beside_a_server_is_sent_to_no_other() {
        let (_, key) = chosen(pair("http://flag", ""), pair("http://env", "env"), None);
        assert!(key.unwrap_err().contains("no key for http://flag: the key in TESSERA_KEY is another server's"));
        let (_, key) = chosen(pair("http://flag", ""), Profile::default(), None);
        assert!(key.unwrap_err().contains("of the profile"));
        let (_, key) = chosen(Profile::default(), pair("", "env"), Some("home"));
        assert!(key.unwrap_err().contains("the profile 'home' has no key"), "the environment is not asked");
        let (_, key) = chosen(pair("http://env/", ""), pair("http://env", "env"), None);
        assert_eq!(key, Ok("env".to_owned()), "this is the same server");
    }

    #[test]
    fn a_file_that_cannot_be_read_stops_nobody_who_does_not_need_it() {
        let folder = tempfile::tempdir().unwrap();
        let broken = |flags, needs_key| {
            let said = Said { flags, file: Some(folder.path().to_owned()), ..Said::default() };
            said.account(needs_key).map(|account| account.key.is_ok()).map_err(|failure| failure.to_string())
        };

        assert_eq!(broken(pair("http://flag", "flag"), true), Ok(true));
        assert_eq!(broken(pair("http://flag", ""), false), Ok(false));
        assert!(broken(Profile::default(), true).unwrap_err().contains("the configuration file"));
    }

    #[test]
    fn what_is_wrong_with_the_file_is_said() {
        assert_eq!(read(FILE, Some("away")), Err("there is no profile 'away'; there are: home, work".to_owned()));
        assert!(read("", Some("a")).unwrap_err().contains("[profiles.a]"));
        assert!(read("[profiles.a]\nkye = 1", None).unwrap_err().contains("unknown field `kye`"));
    }
}
