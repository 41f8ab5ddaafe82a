//! Why a mode or a bundle was not changed, as it is told to whoever asked.

use std::io;
use std::path::Path;

use super::in_use::CutOff;
use super::views;
use crate::config::edit::EditError;
use crate::config::model::Host;
use crate::config::problem::Problems;
use crate::config::replace::ReplaceError;
use crate::evidence::readiness::Readiness;
use crate::evidence::report::{ProblemReport, SourceReport};
use crate::policy::pem::PemError;
use crate::x509::CertificateFields;

/// Longest hostname, and so the most of a stranger's text that is repeated.
const LONGEST_NAME: usize = 255;

/// Certificates that are named one by one.
const MOST_TOLD: usize = 3;

pub(super) type Problem = Box<ProblemReport>;

fn problem(status: u16, kind: &str, title: &str, detail: String, next_step: &str) -> Problem {
    Box::new(ProblemReport {
        kind: kind.to_owned(),
        title: title.to_owned(),
        status,
        detail,
        next_step: Some(next_step.to_owned()),
        readiness: None,
        diff: None,
        source: None,
    })
}

/// What was asked makes no sense.
pub(super) fn bad_request(detail: &str, next_step: &str) -> Problem {
    problem(400, "bad_request", "the request makes no sense", detail.to_owned(), next_step)
}

/// A name that no host has; `covering` is the wildcard that would answer for it.
pub(super) fn unknown_host(name: &str, covering: Option<String>) -> Problem {
    let name: String = name.chars().filter(|c| !c.is_control()).take(LONGEST_NAME).collect();
    let detail = match &covering {
        Some(wildcard) => format!("`{name}` belongs to `{wildcard}`, which can only be changed as a whole"),
        None => format!("no host of the configuration in force has the name `{name}`"),
    };
    let next_step = match covering {
        Some(wildcard) => format!("name `{wildcard}`"),
        None => "give one of the names of a [[host]], as they are configured".to_owned(),
    };
    problem(404, "unknown_host", "no such host", detail, &next_step)
}

pub(super) fn not_ready(host: &str, readiness: Readiness) -> Problem {
    let sentences: Vec<_> = readiness.shortfalls.iter().map(|shortfall| shortfall.sentence.as_str()).collect();
    let detail = match sentences.is_empty() {
        true => format!("`{host}` is not ready to be enforced"),
        false => format!("`{host}` is not ready to be enforced: {}", sentences.join("; ")),
    };
    let next_step = "mend what falls short, or enforce with force: who does not verify is then cut off";
    Box::new(ProblemReport {
        readiness: Some(readiness),
        ..*problem(409, "not_ready", "the host is not ready", detail, next_step)
    })
}

pub(super) fn edit(error: &EditError) -> Problem {
    let detail = error.to_string();
    match error {
        EditError::NoTrust { remedy, .. } => problem(409, "no_trust", "nothing to judge by", detail, remedy),
        EditError::NotAlone { .. } => {
            let next_step = "change it by hand and reload";
            problem(409, "not_editable", "the mode cannot be changed by itself", detail, next_step)
        }
    }
}

pub(super) fn replace(error: &ReplaceError, diff: String, source: Option<SourceReport>) -> Problem {
    let mut detail = error.to_string();
    let told = match error {
        ReplaceError::Changed { .. } => return file_changed(detail),
        ReplaceError::NotWritable { .. } => {
            detail += "; nothing was changed";
            let next_step = "make the change as someone who may, and reload; or give this process the right to \
                             replace the file";
            problem(409, "not_writable", "the file is not writable here", detail, next_step)
        }
        ReplaceError::Write { .. } => {
            let next_step = "see that the disk has room, and try again";
            problem(500, "write_failed", "the file cannot be written", detail, next_step)
        }
    };
    Box::new(ProblemReport { diff: Some(diff), source, ..*told })
}

/// A configuration file is not what is in force.
pub(super) fn file_changed(detail: String) -> Problem {
    let next_step = "reload first, so that what you ask for is the only change";
    problem(409, "file_changed", "the configuration has changed on the disk", detail, next_step)
}

/// The files on the disk cannot be put in force. `restored`: of a change, what became of the file.
pub(super) fn bad_configuration(problems: &Problems, restored: Option<String>) -> Problem {
    let mut detail = restored.map(|restored| format!("{restored}:\n")).unwrap_or_default();
    detail += problems.to_string().trim_end();
    let next_step = "correct it; `originlock check` shows the same without a reload";
    let title = "the configuration on the disk cannot be used, the old one stays in force";
    let place = problems.iter().find_map(|problem| problem.place.as_ref());
    Box::new(ProblemReport {
        source: place.map(views::source),
        ..*problem(422, "bad_configuration", title, detail, next_step)
    })
}

/// A confirmation is asked for, and the host was enforced before.
pub(super) fn nothing_to_fall_back_from(host: &str) -> Problem {
    let detail = format!("`{host}` is enforced already, and was not changed: there is nothing to fall back from");
    problem(
        409,
        "enforced_already",
        "it is enforced already",
        detail,
        "leave the confirmation out, or observe it first",
    )
}

pub(super) fn nothing_to_confirm(host: &str) -> Problem {
    let detail = format!("nothing waits for a confirmation on `{host}`: it was confirmed, fell back, or never asked");
    let next_step = "look at the host's mode; enforce it again if it fell back";
    problem(409, "nothing_to_confirm", "nothing to confirm", detail, next_step)
}

/// What was sent to be added.
pub(super) fn bad_pem(error: &PemError) -> Problem {
    let next_step = match error {
        PemError::Empty => "send the CA's certificate in PEM, or leave `add` out",
        PemError::Broken(_) | PemError::Unclear => "copy it again; a line may be missing at its end",
        PemError::PrivateKey => {
            "send certificates alone. It was not kept here; whoever else could read it on its way has it"
        }
    };
    bad_request(&format!("`add`: {error}"), next_step)
}

/// The host has no bundle to change.
pub(super) fn no_bundle(host: &Host) -> Problem {
    let name = host.names.first().map(|name| name.value.to_string()).unwrap_or_default();
    let (kind, detail) = match host.client_auth.pins.is_empty() {
        true => ("no_trust", format!("`{name}` names neither a CA nor pins")),
        false => ("no_bundle", format!("`{name}` trusts pinned certificates alone: there is no CA bundle to change")),
    };
    let next_step = "write a CA by hand, ca = \"NAME\" with a [ca.NAME], or change the pins; then reload";
    problem(409, kind, "there is no CA bundle", detail, next_step)
}

/// Certificate `number` of those that were sent to be added.
pub(super) fn unfit_ca(number: usize, fields: Option<&CertificateFields>, why: &str, next_step: &str) -> Problem {
    let subject = fields.map(|fields| format!(" ({})", fields.subject)).unwrap_or_default();
    problem(
        422,
        "unfit_ca",
        "this certificate cannot be a CA here",
        format!("certificate {number}{subject} {why}"),
        next_step,
    )
}

pub(super) fn shared_ca() -> Problem {
    let detail = "this is the CA that all of Cloudflare's customers share: whoever has an account there could reach this \
                  origin, however many CAs stand beside it";
    let next_step = "add the CA of your own client certificate; if the shared one is meant, write it into the bundle by \
                     hand and reload";
    problem(409, "shared_ca", "the shared CA would weaken this trust", detail.to_owned(), next_step)
}

pub(super) fn last_ca(ca: &str) -> Problem {
    let detail = format!("without it no CA of `{ca}` is in its time: nobody would verify any more");
    problem(409, "last_ca", "the last CA stays", detail, "add the new CA first; to trust nobody's certificate, use off")
}

/// Edges came with certificates that would be refused; `cut_off` is not empty.
pub(super) fn in_use(cut_off: &[CutOff]) -> Problem {
    let told = |lost: &CutOff| {
        format!("to `{}` with {} (sha256:{}) at {}", lost.host, lost.subject, lost.sha256, lost.last_seen)
    };
    let more = match cut_off.len().saturating_sub(MOST_TOLD) {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    let told: Vec<_> = cut_off.iter().take(MOST_TOLD).map(told).collect();
    let detail = format!("edges of Cloudflare's came {}{more}: they would be refused", told.join("; "));
    let next_step = "have Cloudflare show another certificate first, and wait until none of these has come for as long as \
                     the host's evidence counts; or remove it with force: edges that still come with one are refused";
    problem(409, "in_use", "edges still come with a certificate of this CA", detail, next_step)
}

/// A file without a certificate is no bundle, although others hold some.
pub(super) fn last_of_file(path: &Path) -> Problem {
    let detail = format!("{} would hold no certificate any more", path.display());
    let next_step = "add the new CA first, or take the file out of its `bundle` by hand and reload";
    problem(409, "last_ca", "the last CA stays", detail, next_step)
}

pub(super) fn several_files(one: &Path, other: &Path) -> Problem {
    let detail = format!(
        "what is to be removed stands in {} and in {}, and two files cannot be replaced at once",
        one.display(),
        other.display()
    );
    let next_step = "remove what stands in one file at a time; what stands in both has to be removed by hand";
    problem(409, "not_editable", "the bundle cannot be changed in one step", detail, next_step)
}

pub(super) fn bundle_not_editable(path: &Path, why: &str) -> Problem {
    let detail = format!("{} is not only the CA bundle of hosts: {why}", path.display());
    let next_step = "give the hosts a bundle of their own, or change the file by hand and reload";
    problem(409, "not_editable", "the bundle cannot be changed by itself", detail, next_step)
}

pub(super) fn bundle_unreadable(path: &Path, error: &io::Error) -> Problem {
    file_changed(format!("{} cannot be read ({error}), and what it held is in force", path.display()))
}

/// There is no telling what of the file may be touched.
pub(super) fn bundle_unclear(path: &Path, error: &PemError) -> Problem {
    let detail = format!("{}: {error}", path.display());
    let next_step = "have the file hold CA certificates in PEM and nothing secret; or change it by hand, and reload";
    problem(409, "not_editable", "the bundle cannot be changed by itself", detail, next_step)
}
