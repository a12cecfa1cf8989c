//! Owns `sanntid customer …`: all that is kept of a person, and its erasure.

use anyhow::bail;

use super::{Context, export};
use crate::cli::CustomerCommand;
use crate::client::segment;

pub(super) fn run(context: &Context, command: &CustomerCommand) -> anyhow::Result<()> {
    match command {
        CustomerCommand::Export(arguments) => {
            let instance = context.instance(&arguments.instance);
            let below = format!("/customers/{}/data", segment(&arguments.profile));
            export::download(&instance, &below, arguments.out.as_deref())
        }
        CustomerCommand::Erase { yes: false, .. } => {
            bail!("nothing was erased: what is erased can't be brought back; confirm it with --yes")
        }
        CustomerCommand::Erase {
            instance,
            profile,
            yes: true,
        } => {
            let below = format!("/customers/{}/realtime", segment(profile));
            let erased = context.instance(instance).call("DELETE", &below)?.body;
            Ok(context.output.object(&erased)?)
        }
    }
}
