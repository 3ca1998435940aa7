//! The device's own key, in a file that is made on first use.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use tempfile::NamedTempFile;

/// Where the key is kept where nobody says otherwise.
pub(crate) fn key_file(named: Option<PathBuf>) -> anyhow::Result<PathBuf> {
    if let Some(file) = named {
        return Ok(file);
    }
    let home = std::env::var_os("HOME").or_else(|| std::env::var_os("USERPROFILE"));
    let home = home.context("there is no home folder; say --device-key-file")?;
    Ok(Path::new(&home).join(".tessera").join("device.key"))
}

/// The device's secret key, 64 hex digits in a file that only its owner may read.
pub(crate) fn device_key(file: &Path) -> anyhow::Result<[u8; 32]> {
    if let Some(secret) = read(file)? {
        return Ok(secret);
    }
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).context("the system gives no random numbers for a device key")?;
    match write(file, secret) {
        Ok(()) => Ok(secret),
        // Another worker's first start was there before. It is one device.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            read(file)?.ok_or(error).with_context(|| unwritable(file))
        }
        Err(error) => Err(error).with_context(|| unwritable(file)),
    }
}

fn unwritable(file: &Path) -> String {
    format!("cannot write the device key {}", file.display())
}

/// `None` where there is no such file.
fn read(file: &Path) -> anyhow::Result<Option<[u8; 32]>> {
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("cannot read the device key {}", file.display())),
    };
    let key = text.trim().parse::<wire::TileHash>().map_err(|_malformed| {
        anyhow!(
            "{} holds no device key, which has 64 hex digits; remove it to begin as a new device, or name another \
             file by --device-key-file",
            file.display()
        )
    })?;
    Ok(Some(key.0))
}

/// Whole or not at all: a key of which half was written would be no key at every later start.
fn write(file: &Path, secret: [u8; 32]) -> io::Result<()> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    // Only its owner may read it. It goes with whoever gives up.
    let mut new = NamedTempFile::new_in(folder).map_err(|error| io::Error::from(error.kind()))?;
    writeln!(new, "{}", wire::TileHash(secret))?;
    new.as_file().sync_all()?;
    new.persist_noclobber(file).map_err(|error| error.error)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_and_is_its_owners_alone() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("new").join("device.key");

        let made = device_key(&file).unwrap();

        assert_eq!(device_key(&file).unwrap(), made);
        assert_eq!(std::fs::read_dir(file.parent().unwrap()).unwrap().count(), 1, "nothing else is left");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        }
        assert_eq!(write(&file, [1; 32]).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(device_key(&file).unwrap(), made, "a key that is there is never replaced");
    }

    #[test]
    fn what_holds_no_key_or_cannot_be_written_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let empty = folder.path().join("empty.key");
        std::fs::write(&empty, "").unwrap();

        let said = format!("{:#}", device_key(&empty).unwrap_err());
        assert!(said.contains("empty.key holds no device key") && !said.contains("BLAKE3"), "{said}");
        let below_a_file = empty.join("device.key");
        let said = format!("{:#}", device_key(&below_a_file).unwrap_err());
        assert!(said.contains("the device key") && said.contains("empty.key/device.key"), "{said}");
    }
}
