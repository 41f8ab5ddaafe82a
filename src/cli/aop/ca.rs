//! `originlock aop ca`: the CA that Cloudflare shares between all its customers.

use std::io::{self, Write};

use crate::cli::Ended;
use crate::policy::cloudflare_ca::SharedCa;

/// The CA that Cloudflare shares between all its customers
#[derive(Debug, clap::Args)]
pub(super) struct CaArguments {
    /// The one that originlock is shipped with; nobody is asked
    #[arg(long, required = true)]
    offline: bool,
}

pub(super) fn run(_: &CaArguments) -> anyhow::Result<Ended> {
    io::stdout().write_all(SharedCa::current_pem())?;
    Ok(Ended::Done)
}
