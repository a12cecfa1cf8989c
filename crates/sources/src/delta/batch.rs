//! Actions of a table's log as the library sees them: rows of values under a schema.
//! Owns how the library gets at the values. Must not know where they come from.

use std::sync::Arc;

use delta_kernel::engine_data::{
    EngineData, GetData, ListItem, MapItem, RowVisitor, StringArrayAccessor,
};
use delta_kernel::expressions::{ArrayData, ColumnName};
use delta_kernel::reserved_field_ids::FILE_NAME;
use delta_kernel::schema::{
    ColumnMetadataKey, DataType, MetadataColumnSpec, MetadataValue, SchemaRef, StructField,
    StructType,
};
use delta_kernel::{KernelError, KernelResult};

/// One value of an action, as narrow as the log's own schemas need it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Null,
    Boolean(bool),
    /// Of any width.
    Integer(i64),
    Float(f64),
    Text(String),
    List(Texts),
    Map {
        keys: Texts,
        values: Texts,
    },
    /// In the order of the schema's fields.
    Struct(Vec<Value>),
}

/// Texts, of which each may be missing.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Texts(pub(super) Vec<Option<String>>);

/// Rows, each with a value for every field of the schema.
#[derive(Clone, Debug)]
pub(super) struct Batch {
    pub(super) schema: SchemaRef,
    pub(super) rows: Vec<Vec<Value>>,
}

impl Value {
    pub(super) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn as_integer(&self) -> Option<i64> {
        match self {
            Self::Integer(number) => Some(*number),
            _ => None,
        }
    }
}

impl Batch {
    /// The places that lead to a column, field by field.
    pub(super) fn path(schema: &StructType, name: &ColumnName) -> Option<Vec<usize>> {
        let mut within = Some(schema);
        let mut places = Vec::new();
        for part in name.path() {
            let (place, field) = within?.field_with_index(part)?;
            places.push(place);
            within = match &field.data_type {
                DataType::Struct(fields) => Some(fields.as_ref()),
                _ => None,
            };
        }
        Some(places)
    }

    /// The value at a path; `None` where it, or a struct around it, is null.
    pub(super) fn at<'a>(row: &'a [Value], path: &[usize]) -> Option<&'a Value> {
        let (first, rest) = path.split_first()?;
        match (row.get(*first)?, rest) {
            (Value::Null, _) => None,
            (value, []) => Some(value),
            (Value::Struct(fields), rest) => Self::at(fields, rest),
            _ => None,
        }
    }

    /// The values of one column.
    pub(super) fn column(&self, name: &ColumnName) -> Option<Vec<Option<&Value>>> {
        let path = Self::path(&self.schema, name)?;
        Some(self.rows.iter().map(|row| Self::at(row, &path)).collect())
    }
}

impl EngineData for Batch {
    fn visit_rows(&self, columns: &[ColumnName], visitor: &mut dyn RowVisitor) -> KernelResult<()> {
        let mut getters = Vec::with_capacity(columns.len());
        for name in columns {
            let column = self.column(name);
            let column = column.ok_or_else(|| KernelError::MissingColumn(name.to_string()))?;
            getters.push(Column(column));
        }
        let getters: Vec<&dyn GetData<'_>> = getters.iter().map(|getter| getter as _).collect();
        visitor.visit(self.rows.len(), &getters)
    }

    fn len(&self) -> usize {
        self.rows.len()
    }

    fn append_columns(
        &self,
        _schema: SchemaRef,
        _columns: Vec<ArrayData>,
    ) -> KernelResult<Box<dyn EngineData>> {
        Err(unsupported("appending columns"))
    }

    fn apply_selection_vector(
        self: Box<Self>,
        selection: Vec<bool>,
    ) -> KernelResult<Box<dyn EngineData>> {
        if selection.len() > self.rows.len() {
            let text = "more rows were selected than there are";
            return Err(KernelError::InvalidSelectionVector(text.to_owned()));
        }
        let selected = selection.into_iter().chain(std::iter::repeat(true));
        let rows = self.rows.into_iter().zip(selected);
        let rows = rows.filter_map(|(row, selected)| selected.then_some(row));
        Ok(Box::new(Self {
            schema: Arc::clone(&self.schema),
            rows: rows.collect(),
        }))
    }

    fn has_field(&self, name: &ColumnName) -> bool {
        Self::path(&self.schema, name).is_some()
    }
}

/// The place of the column that is to hold the address of the file that a row is from, if any.
pub(super) fn file_column(schema: &StructType) -> Option<(usize, &StructField)> {
    let is_file = |field: &StructField| {
        let id = field.get_config_value(&ColumnMetadataKey::ParquetFieldId);
        id == Some(&MetadataValue::Number(FILE_NAME))
            || field.get_metadata_column_spec() == Some(MetadataColumnSpec::FilePath)
    };
    let mut fields = schema.fields().enumerate();
    fields.find(|(_, field)| is_file(field))
}

/// What only a writer, or a filter of the library's own, would need.
pub(super) fn unsupported(what: &str) -> KernelError {
    KernelError::Unsupported(format!("{what} is not needed for reading"))
}

/// Gives the values of one column by row.
struct Column<'b>(Vec<Option<&'b Value>>);

impl<'b> Column<'b> {
    fn get<T>(
        &self,
        row: usize,
        field: &str,
        read: impl FnOnce(&'b Value) -> Option<T>,
    ) -> KernelResult<Option<T>> {
        let value = self.0.get(row).copied().flatten();
        value
            .map(|value| {
                read(value).ok_or_else(|| {
                    KernelError::UnexpectedColumnType(format!("{field} has another type"))
                })
            })
            .transpose()
    }

    fn integer<T: TryFrom<i64>>(&self, row: usize, field: &str) -> KernelResult<Option<T>> {
        let narrow = |value: &Value| T::try_from(value.as_integer()?).ok();
        self.get(row, field, narrow)
    }
}

impl<'a, 'b: 'a> GetData<'a> for Column<'b> {
    fn get_bool(&'a self, row: usize, field: &str) -> KernelResult<Option<bool>> {
        self.get(row, field, |value| match value {
            Value::Boolean(value) => Some(*value),
            _ => None,
        })
    }

    fn get_byte(&'a self, row: usize, field: &str) -> KernelResult<Option<i8>> {
        self.integer(row, field)
    }

    fn get_short(&'a self, row: usize, field: &str) -> KernelResult<Option<i16>> {
        self.integer(row, field)
    }

    fn get_int(&'a self, row: usize, field: &str) -> KernelResult<Option<i32>> {
        self.integer(row, field)
    }

    fn get_long(&'a self, row: usize, field: &str) -> KernelResult<Option<i64>> {
        self.integer(row, field)
    }

    fn get_double(&'a self, row: usize, field: &str) -> KernelResult<Option<f64>> {
        self.get(row, field, |value| match value {
            Value::Float(value) => Some(*value),
            _ => None,
        })
    }

    fn get_str(&'a self, row: usize, field: &str) -> KernelResult<Option<&'a str>> {
        self.get(row, field, Value::as_text)
    }

    fn get_list(&'a self, row: usize, field: &str) -> KernelResult<Option<ListItem<'a>>> {
        self.get(row, field, |value| match value {
            Value::List(texts) => Some(ListItem::new(texts, 0..texts.0.len())),
            _ => None,
        })
    }

    fn get_map(&'a self, row: usize, field: &str) -> KernelResult<Option<MapItem<'a>>> {
        self.get(row, field, |value| match value {
            Value::Map { keys, values } => Some(MapItem::new(keys, values, 0..keys.0.len())),
            _ => None,
        })
    }
}

impl StringArrayAccessor for Texts {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn value(&self, index: usize) -> &str {
        self.0
            .get(index)
            .and_then(Option::as_deref)
            .unwrap_or_default()
    }

    fn is_valid(&self, index: usize) -> bool {
        self.0.get(index).is_some_and(Option::is_some)
    }
}
