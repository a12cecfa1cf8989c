//! Owns what the command line prints: tables and JSON to standard output, notes to standard error.

use std::io::{self, IsTerminal, Write};

use serde_json::Value;

/// Longer cells are cut; an id of the longest kind still fits.
const CELL_CHARS_MAX: usize = 100;

/// Prints for people or for programs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    /// Raw JSON instead of tables.
    pub json: bool,
    /// Colours, on a terminal alone.
    pub colour: bool,
    /// Standard output is a terminal.
    pub terminal: bool,
}

impl Output {
    /// Looks where standard output leads.
    pub(crate) fn new(json: bool) -> Self {
        let terminal = io::stdout().is_terminal();
        Self {
            json,
            colour: terminal,
            terminal,
        }
    }

    /// Prints rows as a table, or as an array with `--json`.
    ///
    /// # Errors
    /// Standard output is closed.
    pub(crate) fn rows(&self, rows: &[Value], columns: &[&str]) -> io::Result<()> {
        if self.json {
            return document(&Value::Array(rows.to_vec()));
        }
        let table = table_of(rows, columns);
        line(table.trim_end())
    }

    /// Prints one object as a table of its fields, or as it is with `--json`.
    ///
    /// # Errors
    /// Standard output is closed.
    pub(crate) fn object(&self, value: &Value) -> io::Result<()> {
        match value.as_object().filter(|_| !self.json) {
            None => document(value),
            Some(fields) => {
                let rows: Vec<Vec<String>> = fields
                    .iter()
                    .map(|(name, value)| vec![name.clone(), cell(value)])
                    .collect();
                line(aligned(&rows).trim_end())
            }
        }
    }

    /// Paints a text, where there are colours.
    pub(crate) fn paint(&self, colour: Colour, text: &str) -> String {
        if !self.colour {
            return text.to_owned();
        }
        let code = match colour {
            Colour::Dim => "2",
            Colour::Bold => "1",
            Colour::Cyan => "36",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}

/// Prints a line to standard output.
///
/// # Errors
/// Standard output is closed.
pub(crate) fn line(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}")?;
    out.flush()
}

/// Prints a JSON document as it is.
///
/// # Errors
/// Standard output is closed.
pub(crate) fn document(value: &Value) -> io::Result<()> {
    line(&format!("{value:#}"))
}

/// Writes over the present line of a terminal.
///
/// # Errors
/// Standard output is closed.
pub(crate) fn status(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    write!(out, "\r\x1b[K{text}")?;
    out.flush()
}

/// Names what a text can look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Colour {
    Dim,
    Bold,
    Cyan,
}

/// Tells people something beside the output, on standard error.
#[expect(
    clippy::print_stderr,
    reason = "this is the one place that writes notes"
)]
pub(crate) fn note(text: &str) {
    eprintln!("{text}");
}

/// Lays rows out under their columns; without given columns, under all that occur.
pub(crate) fn table_of(rows: &[Value], columns: &[&str]) -> String {
    let mut names: Vec<&str> = columns.to_vec();
    if columns.is_empty() {
        for name in rows
            .iter()
            .filter_map(Value::as_object)
            .flat_map(|row| row.keys())
        {
            if !name.contains('@') && !names.contains(&name.as_str()) {
                names.push(name);
            }
        }
    }
    if rows.is_empty() {
        return "none".to_owned();
    }
    let mut lines: Vec<Vec<String>> = vec![names.iter().map(|name| (*name).to_owned()).collect()];
    for row in rows {
        let cells = names.iter().map(|name| {
            let mut fields = row.as_object().into_iter().flatten();
            let found = fields.find(|(field, _)| field.eq_ignore_ascii_case(name));
            found.map_or_else(String::new, |(_, value)| cell(value))
        });
        lines.push(cells.collect());
    }
    aligned(&lines)
}

/// Pads cells so that columns stand under each other.
pub(crate) fn aligned(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns)
        .map(|column| {
            let cells = rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        })
        .collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(cell);
            let padding = width - cell.chars().count() + 2;
            line.extend(std::iter::repeat_n(' ', padding));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Shows a value on one line, without control characters.
pub(crate) fn cell(value: &Value) -> String {
    let text = match value {
        Value::Null => return "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let mut shown: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(CELL_CHARS_MAX)
        .collect();
    if text.chars().nth(CELL_CHARS_MAX).is_some() {
        shown.pop();
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn rows_stand_under_their_columns() {
        let rows = [
            json!({"Id": "c1", "City": "Tromsø", "@odata.etag": "x"}),
            json!({"Id": "c200", "Income": 1.5, "City": null}),
        ];
        let expected = "Id    City    Income\nc1    Tromsø\nc200  -       1.5\n";
        // Fields of an object come sorted or in their order, depending on the reader.
        let table = table_of(&rows, &["Id", "City", "Income"]);
        assert_eq!(table_of(&rows, &["id"]), "id\nc1\nc200\n");
        assert_eq!(table, expected);
        let all = table_of(&rows, &[]);
        assert!(all.contains("Income") && !all.contains("etag"), "{all}");
        assert_eq!(table_of(&[], &[]), "none");
    }

    #[test]
    fn a_cell_is_one_short_line_and_can_not_steer_a_terminal() {
        assert_eq!(cell(&json!("a\n\u{1b}[31mb")), "a  [31mb");
        let long = "å".repeat(CELL_CHARS_MAX + 1);
        assert_eq!(cell(&json!(long)).chars().count(), CELL_CHARS_MAX);
        assert!(cell(&json!(long)).ends_with('…'));
        assert_eq!(
            cell(&json!("å".repeat(CELL_CHARS_MAX))).chars().last(),
            Some('å')
        );
        assert_eq!(cell(&json!({"a": [1]})), "{\"a\":[1]}");
    }

    #[test]
    fn only_a_terminal_gets_colours() {
        let mut output = Output {
            json: false,
            colour: false,
            terminal: false,
        };
        assert_eq!(output.paint(Colour::Cyan, "x"), "x");
        output.colour = true;
        assert_eq!(output.paint(Colour::Cyan, "x"), "\u{1b}[36mx\u{1b}[0m");
    }
}
