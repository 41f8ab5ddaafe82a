//! Where the token for Cloudflare's API comes from.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use super::private;
use crate::secret::Secret;

const TOKEN_VARIABLE: &str = "CLOUDFLARE_API_TOKEN";
/// Where systemd puts what `LoadCredential=` and `SetCredential=` name.
const CREDENTIALS_VARIABLE: &str = "CREDENTIALS_DIRECTORY";
const CREDENTIAL: &str = "cloudflare-api-token";
const MAX_TOKEN_BYTES: u64 = 64 * 1024;

/// The token: of `file`, else of the environment, else of the credential that systemd gives.
pub(super) fn find(file: Option<&Path>) -> anyhow::Result<Secret> {
    find_among(file, std::env::var_os(TOKEN_VARIABLE), std::env::var_os(CREDENTIALS_VARIABLE).map(PathBuf::from))
}

fn find_among(file: Option<&Path>, variable: Option<OsString>, credentials: Option<PathBuf>) -> anyhow::Result<Secret> {
    if let Some(file) = file {
        return read(file);
    }
    let variable = variable.map(|token| Secret::new(token.into_vec())).filter(|token| !trimmed(token).is_empty());
    if let Some(token) = variable {
        return Ok(Secret::new(trimmed(&token).to_vec()));
    }
    let credential = credentials.map(|folder| folder.join(CREDENTIAL)).filter(|path| path.exists());
    match credential {
        Some(path) => read(&path),
        None => bail!(
            "there is no token for Cloudflare's API; put one into a file of its own (mode 0600) and name it with \
             --api-token-file, or set {TOKEN_VARIABLE}, or give the systemd credential {CREDENTIAL}. Tokens are made at \
             https://dash.cloudflare.com/profile/api-tokens"
        ),
    }
}

/// The token alone, without the line's end that editors put behind it.
fn read(path: &Path) -> anyhow::Result<Secret> {
    let shown = path.display();
    let cannot = || format!("token file {shown} cannot be read");
    let size = fs::metadata(path).with_context(cannot)?.len();
    if size > MAX_TOKEN_BYTES {
        bail!("{shown} is too large to be a token");
    }
    private::warn_if_open(path);
    let bytes = Secret::new(fs::read(path).with_context(cannot)?);
    if trimmed(&bytes).is_empty() {
        bail!("token file {shown} is empty; write the token for Cloudflare's API into it, and nothing else");
    }
    Ok(Secret::new(trimmed(&bytes).to_vec()))
}

fn trimmed(token: &Secret) -> &[u8] {
    token.expose().trim_ascii()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_source_that_says_something_is_the_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("token");
        fs::write(&file, "of-the-file\n").expect("a file");
        let credentials = || Some(folder.path().to_owned());
        let find = |file: Option<&Path>, variable: Option<&str>, credentials: Option<PathBuf>| {
            let found = find_among(file, variable.map(OsString::from), credentials)?;
            anyhow::Ok(String::from_utf8(found.expose().to_vec())?)
        };
        let none = find(None, Some(" "), credentials()).expect_err("there is none").to_string();
        assert!(none.contains("--api-token-file") && none.contains("CLOUDFLARE_API_TOKEN"), "{none}");
        fs::write(folder.path().join(CREDENTIAL), "of-systemd").expect("a file");
        for (from_file, variable, found) in [
            (Some(&*file), Some("of-the-environment"), "of-the-file"),
            (None, Some(" of-the-environment\n"), "of-the-environment"),
            (None, Some(""), "of-systemd"),
            (None, None, "of-systemd"),
        ] {
            assert_eq!(find(from_file, variable, credentials()).expect("a token"), found);
        }
    }

    #[test]
    fn a_file_that_holds_no_token_is_named_and_nothing_else_is_taken_for_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("token");
        fs::write(&file, " \n").expect("a file");
        for path in [&*file, &folder.path().join("none")] {
            let error = find_among(Some(path), Some("of-the-environment".into()), None).expect_err("no token");
            assert!(error.to_string().contains(&*path.to_string_lossy()), "{error}");
        }
    }
}
