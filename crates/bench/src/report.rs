//! Owns what a measurement hands out: settings, tables, remarks. Printing is the caller's.

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::Bench;
use crate::process::{load_average, machine};

/// What was measured and how.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Which benchmark it is.
    pub name: &'static str,
    /// All that a reader needs to run it again.
    pub settings: Map<String, Value>,
    pub tables: Vec<Table>,
    /// What must be known to read the figures right.
    pub remarks: Vec<String>,
}

/// Figures of one kind.
#[derive(Clone, Debug, Serialize)]
pub struct Table {
    pub title: String,
    #[serde(skip)]
    pub columns: Vec<&'static str>,
    pub rows: Vec<Value>,
}

impl Report {
    pub(crate) fn new(bench: &Bench<'_>, name: &'static str, settings: Value) -> Self {
        let mut all = Map::new();
        all.insert("machine".to_owned(), json!(machine()));
        all.insert("version".to_owned(), json!(env!("CARGO_PKG_VERSION")));
        all.insert("startedAt".to_owned(), json!(bench.clock.now().to_string()));
        all.insert("loadBefore".to_owned(), json!(load_average()));
        all.insert("serverSettings".to_owned(), json!(bench.server_settings));
        if let Value::Object(own) = settings {
            all.extend(own);
        }
        let mut remarks = Vec::new();
        if cfg!(debug_assertions) {
            remarks.push("this is a debug build: its figures say nothing".to_owned());
        }
        Self {
            name,
            settings: all,
            tables: Vec::new(),
            remarks,
        }
    }

    /// Adds rows under a title; the columns show for people, the rows hold all.
    pub(crate) fn table(
        &mut self,
        title: impl Into<String>,
        columns: &[&'static str],
        rows: Vec<Value>,
    ) {
        self.tables.push(Table {
            title: title.into(),
            columns: columns.to_vec(),
            rows,
        });
    }

    pub(crate) fn remark(&mut self, text: impl Into<String>) {
        self.remarks.push(text.into());
    }

    /// Notes what else the machine did at the end.
    pub(crate) fn finished(mut self) -> Self {
        let load = json!(load_average());
        self.settings.insert("loadAfter".to_owned(), load);
        self
    }
}

/// A figure with so many digits behind the point as a reader can use.
pub(crate) fn rounded(figure: f64) -> Value {
    let digits = match figure.abs() {
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 1.0 => 2,
        _ => 3,
    };
    let text = format!("{figure:.digits$}");
    text.parse::<serde_json::Number>()
        .map_or(Value::Null, Value::Number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_three_digits_or_so() {
        for (figure, expected) in [
            (1234.56, "1235"),
            (12.345, "12.3"),
            (1.2345, "1.23"),
            (0.01234, "0.012"),
            (f64::NAN, "null"),
        ] {
            assert_eq!(rounded(figure).to_string(), expected);
        }
    }
}
