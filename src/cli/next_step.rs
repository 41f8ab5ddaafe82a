//! What to do about a refusal of the admin API, for whoever sits at the command line and not at the API.

use crate::evidence::report::ProblemReport;
use crate::remote::admin::AdminError;

/// By the kind of problem. What is not listed has next steps that are the same everywhere.
const NEXT_STEPS: [(&str, &str); 8] = [
    (
        "unknown_host",
        "`originlock status` lists the names; a wildcard is written as in the configuration: '*.example.com'",
    ),
    (
        "unauthorized",
        "name the file of a token that is written under [admin] with --token-file, or show a client certificate with \
         --certificate and --key; whoever may open a unix socket needs neither",
    ),
    (
        "forbidden",
        "write change = { token = \"FILE\" } under [admin] and name that file with --token-file (with -c of the \
         configuration it is found); or address = \"unix:/run/originlock/admin.sock\", which needs no token",
    ),
    (
        "not_ready",
        "`originlock explain HOST` says why handshakes fail; to enforce nevertheless, and cut off whoever does not \
         verify: --force",
    ),
    (
        "not_writable",
        "call this as someone who may write that file, with -c FILE of the configuration; or print the change with \
         --print, make it where the file comes from, and `originlock reload`",
    ),
    ("file_changed", "`originlock reload` first, so that the change of mode is the only change"),
    ("nothing_to_confirm", "`originlock status` shows the mode; enforce it again if it fell back"),
    ("too_slow", "`originlock status` shows what became of it"),
];

/// The next step for a problem, in the words of the verbs.
pub(super) fn of(problem: &ProblemReport) -> Option<String> {
    let ours = NEXT_STEPS.iter().find(|(kind, _)| *kind == problem.kind).map(|(_, next_step)| *next_step);
    ours.or(problem.next_step.as_deref()).map(str::to_owned)
}

/// An error as it is printed.
pub(super) fn told(error: anyhow::Error) -> anyhow::Error {
    let Some(AdminError::Problem(problem)) = error.downcast_ref() else { return error };
    let next_step = of(problem);
    AdminError::Problem(Box::new(ProblemReport { next_step, ..(**problem).clone() })).into()
}
