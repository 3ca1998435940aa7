//! Servers and keys by name, in a file, so that nobody types them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use etcetera::{BaseStrategy, choose_base_strategy};
use serde::Deserialize;

use crate::failure::Failure;

/// `config.toml`. What the command line or the environment says goes before it.
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
pub(crate) fn usual_place() -> Option<PathBuf> {
    Some(choose_base_strategy().ok()?.config_dir().join("tessera/config.toml"))
}

/// The profile of that name, or the default one. `path` is where a file has to be; without it there may be none.
pub(crate) fn profile(path: Option<PathBuf>, name: Option<&str>) -> Result<Profile, Failure> {
    let is_named = path.is_some();
    let Some(path) = path.or_else(usual_place) else { return no_file(name) };
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

    #[test]
    fn what_is_wrong_with_the_file_is_said() {
        assert_eq!(read(FILE, Some("away")), Err("there is no profile 'away'; there are: home, work".to_owned()));
        assert!(read("", Some("a")).unwrap_err().contains("[profiles.a]"));
        assert!(read("[profiles.a]\nkye = 1", None).unwrap_err().contains("unknown field `kye`"));
    }
}
