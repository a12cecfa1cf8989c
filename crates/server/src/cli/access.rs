//! Owns the grammar of `sanntid key …` and `sanntid role …`. Must not do anything.

use clap::{ArgGroup, Args, Subcommand, ValueEnum};

use super::InstanceArg;

#[derive(Debug, Subcommand)]
#[command(after_help = "\
An instance has two keys, so that one can be made anew while the other is in use:
make the secondary anew, give it to whoever calls, then make the primary anew.

Examples:
  sanntid key renew --instance ID primary
  sanntid key list --instance ID
  sanntid key set --instance ID --role viewer
  sanntid key set --instance ID --disable")]
pub(crate) enum KeyCommand {
    /// Lists the keys that were made, without their texts
    List {
        #[command(flatten)]
        instance: InstanceArg,
    },
    /// Makes a key anew and prints it, this once; the one before it is unknown at once
    Renew {
        #[command(flatten)]
        instance: InstanceArg,
        /// Which of the two
        #[arg(value_enum)]
        name: KeyName,
    },
    /// Says what the keys may do, and whether the API may be used at all
    Set(KeySetArgs),
}

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("change").required(true).multiple(true))]
pub(crate) struct KeySetArgs {
    #[command(flatten)]
    pub instance: InstanceArg,
    /// What whoever has a key may do
    #[arg(long, value_enum, group = "change")]
    pub role: Option<RoleName>,
    /// Lets keys in again
    #[arg(long, group = "change", conflicts_with = "disable")]
    pub enable: bool,
    /// Lets no key in, and of users, groups and apps only administrators
    #[arg(long, group = "change")]
    pub disable: bool,
}

#[derive(Debug, Subcommand)]
#[command(after_help = "\
Roles are viewer (reads), contributor (also writes) and administrator (also configures).

Examples:
  sanntid role set --instance ID 9b2f6a34-6a0e-4b1d-8a53-7f6a2c1de905 contributor
  sanntid role set --instance ID crm-writers contributor --type group
  sanntid role list --instance ID
  sanntid role remove --instance ID crm-writers
  sanntid role mine --instance ID")]
pub(crate) enum RoleCommand {
    /// Lists who has a role
    List {
        #[command(flatten)]
        instance: InstanceArg,
    },
    /// Gives a user, group or app a role, in place of those that it has
    Set {
        #[command(flatten)]
        instance: InstanceArg,
        /// The user, group or app, as the identity provider names it
        principal: String,
        #[arg(value_enum)]
        role: RoleName,
        /// What it is
        #[arg(long = "type", value_enum, default_value_t = PrincipalKind::User)]
        kind: PrincipalKind,
    },
    /// Takes all roles from a user, group or app
    Remove {
        #[command(flatten)]
        instance: InstanceArg,
        principal: String,
    },
    /// Tells the role of the key that calls
    Mine {
        #[command(flatten)]
        instance: InstanceArg,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum KeyName {
    Primary,
    Secondary,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum RoleName {
    Viewer,
    Contributor,
    Administrator,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum PrincipalKind {
    User,
    Group,
    App,
}
