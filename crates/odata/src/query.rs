//! The system query options of one request.
//! Owns which options exist, with and without `$`, and that each stands once. Must not know which
//! of them an entity serves.

use sanntid_types::{Error, ErrorCode, Result};

use crate::ast::{At, Expr, Name, OrderKey};
use crate::lexer::{error, shorten};
use crate::parser::{check_length, parse_filter, parse_names, parse_order};

/// Every option, as messages name it.
const OPTIONS: [&str; 9] = [
    "$select",
    "$filter",
    "$orderby",
    "$top",
    "$skip",
    "$skiptoken",
    "$count",
    "$search",
    "$expand",
];

/// Holds the parsed options; what was not given is `None`, empty or false.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueryOptions {
    /// The attributes to answer; `None`, also for `*`, means all.
    pub select: Option<Vec<Name>>,
    pub filter: Option<Expr>,
    pub order: Vec<OrderKey>,
    pub top: Option<u64>,
    pub skip: Option<u64>,
    pub skip_token: Option<String>,
    pub count: bool,
    /// The search text as it was given, without blanks around it.
    pub search: Option<String>,
    pub expand: Vec<Name>,
}

impl QueryOptions {
    /// Reads decoded name-value pairs. Names go without `$` and in any case too (OData 4.01).
    ///
    /// Pairs named in `also_known` are the caller's and passed over. An unknown or a repeated
    /// option and a value that can't be read are `InvalidArgument` with the option as target.
    pub fn parse<'p>(
        pairs: impl IntoIterator<Item = (&'p str, &'p str)>,
        also_known: &[&str],
    ) -> Result<Self> {
        let mut options = Self::default();
        let mut seen = Vec::new();
        for (name, value) in pairs {
            if also_known.contains(&name) {
                continue;
            }
            let option = known(name).ok_or_else(|| unknown(name, also_known))?;
            if seen.contains(&option) {
                let message = format!("{option} is given twice, expected once (also without `$`)");
                return Err(Error::new(ErrorCode::InvalidArgument, message).with_target(option));
            }
            seen.push(option);
            options.set(option, value)?;
        }
        Ok(options)
    }

    fn set(&mut self, option: &'static str, value: &str) -> Result<()> {
        match option {
            "$filter" => self.filter = Some(parse_filter(value)?),
            "$orderby" => self.order = parse_order(value)?,
            "$select" if value.trim() == "*" => {}
            "$select" => self.select = Some(parse_names(option, value)?),
            "$expand" => self.expand = parse_names(option, value)?,
            "$top" => self.top = Some(whole_number(option, value)?),
            "$skip" => self.skip = Some(whole_number(option, value)?),
            "$count" => self.count = truth(option, value)?,
            "$search" => self.search = Some(some_text(option, value)?),
            _ => self.skip_token = Some(some_text(option, value)?),
        }
        Ok(())
    }
}

fn known(name: &str) -> Option<&'static str> {
    let bare = name.strip_prefix('$').unwrap_or(name);
    let same = |option: &&str| {
        let option = option.strip_prefix('$').unwrap_or(option);
        option.eq_ignore_ascii_case(bare)
    };
    OPTIONS.iter().copied().find(same)
}

fn unknown(name: &str, also_known: &[&str]) -> Error {
    let known: Vec<&str> = OPTIONS.iter().chain(also_known).copied().collect();
    let name = shorten(name);
    let message = format!(
        "unknown query option `{name}`: expected one of {}",
        known.join(", ")
    );
    Error::new(ErrorCode::InvalidArgument, message).with_target(name)
}

fn whole_number(option: &str, value: &str) -> Result<u64> {
    let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    let number = if digits { value.parse().ok() } else { None };
    number.ok_or_else(|| wrong(option, "a whole number from 0 on", value))
}

fn truth(option: &str, value: &str) -> Result<bool> {
    match value.to_ascii_lowercase().as_str() {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(wrong(option, "true or false", value)),
    }
}

fn some_text(option: &str, value: &str) -> Result<String> {
    check_length(option, value)?;
    match value.trim() {
        "" => Err(wrong(option, "a text that is not empty", value)),
        text => Ok(text.to_owned()),
    }
}

fn wrong(option: &str, expected: &str, value: &str) -> Error {
    let message = format!("expected {expected}, got `{}`", shorten(value));
    error(option, At(1), message)
}
