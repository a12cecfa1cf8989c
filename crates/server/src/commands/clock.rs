//! Owns `sanntid clock …`.

use super::Context;
use crate::cli::ClockCommand;
use crate::client::Body;

pub(super) fn run(context: &Context, command: &ClockCommand) -> anyhow::Result<()> {
    let (method, path) = match command {
        ClockCommand::Show => ("GET", "/manage/clock"),
        ClockCommand::Confirm => ("POST", "/manage/clock/confirm"),
    };
    let shown = context.client.call(method, path, &Body::None)?.body;
    Ok(context.output.object(&shown)?)
}
