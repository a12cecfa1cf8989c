//! The row groups of a Parquet file, as the library that decodes them asks for them. Owns where each
//! column's pages lie: no offset of a footer leads out of the file.

use std::sync::Arc;

use bytes::Bytes;
use parquet::bloom_filter::Sbbf;
use parquet::column::page::PageReader;
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use parquet::file::reader::{FileReader, RowGroupReader};
use parquet::record::reader::RowIter;
use parquet::schema::types::Type as SchemaType;

use crate::content::Content;
use crate::parquet_held::{Held, Share};
use crate::parquet_pages::{Pages, Window};

/// How much is read ahead of all columns together.
const AHEAD_BYTES: usize = 16 * 1024 * 1024;
/// How much is read ahead of one column.
const AHEAD_LEAST: usize = 4 * 1024;
const AHEAD_MOST: usize = 1024 * 1024;

/// Gives all row groups of a file to the library.
pub(crate) struct Groups {
    content: Content,
    metadata: Arc<ParquetMetaData>,
    held: Arc<Held>,
    ahead: usize,
}

impl Groups {
    /// `columns` is the number of those that are read.
    pub(crate) fn new(content: Content, metadata: Arc<ParquetMetaData>, columns: usize) -> Self {
        Self {
            content,
            metadata,
            held: Arc::new(Held::new(columns)),
            ahead: (AHEAD_BYTES / columns.max(1)).clamp(AHEAD_LEAST, AHEAD_MOST),
        }
    }

    pub(crate) fn held(&self) -> Arc<Held> {
        Arc::clone(&self.held)
    }
}

impl FileReader for Groups {
    fn metadata(&self) -> &ParquetMetaData {
        &self.metadata
    }

    fn num_row_groups(&self) -> usize {
        self.metadata.num_row_groups()
    }

    fn get_row_group(&self, group: usize) -> Result<Box<dyn RowGroupReader + '_>> {
        let metadata = self.metadata.row_groups().get(group);
        let metadata = metadata.ok_or_else(|| self.held.corrupt("it lacks a row group"))?;
        Ok(Box::new(Group {
            groups: self,
            metadata,
        }))
    }

    fn get_row_iter(&self, _: Option<SchemaType>) -> Result<RowIter<'_>> {
        Err(by_columns())
    }
}

/// One row group.
struct Group<'a> {
    groups: &'a Groups,
    metadata: &'a RowGroupMetaData,
}

impl RowGroupReader for Group<'_> {
    fn metadata(&self) -> &RowGroupMetaData {
        self.metadata
    }

    fn num_columns(&self) -> usize {
        self.metadata.num_columns()
    }

    fn get_column_page_reader(&self, column: usize) -> Result<Box<dyn PageReader>> {
        Ok(Box::new(self.open(column)?))
    }

    fn get_column_bloom_filter(&self, _: usize) -> Option<&Sbbf> {
        None
    }

    fn get_row_iter(&self, _: Option<SchemaType>) -> Result<RowIter<'_>> {
        Err(by_columns())
    }
}

fn by_columns() -> ParquetError {
    ParquetError::NYI("rows are read by columns".to_owned())
}

impl Group<'_> {
    fn open(&self, column: usize) -> Result<Pages> {
        let Groups {
            content,
            held,
            ahead,
            ..
        } = self.groups;
        let chunk = self.metadata.columns().get(column);
        let chunk = chunk.ok_or_else(|| held.corrupt("a row group lacks a column"))?;
        let data = chunk.data_page_offset();
        // Some writers say 0 where there is no dictionary.
        let dictionary = chunk.dictionary_page_offset();
        let start = dictionary.filter(|at| *at > 0 && *at < data);
        let start = u64::try_from(start.unwrap_or(data));
        let length = u64::try_from(chunk.compressed_size());
        let rows = u64::try_from(self.metadata.num_rows());
        let (Ok(start), Ok(length), Ok(rows)) = (start, length, rows) else {
            return Err(held.corrupt("a column has a negative offset or length"));
        };
        let end = start.checked_add(length);
        let end = end.filter(|end| *end <= content.bytes());
        let end = end.ok_or_else(|| held.corrupt("a column would end behind the file's end"))?;
        let described = chunk.column_descr();
        if described.max_rep_level() > 0 || described.max_def_level() > 1 {
            return Err(held.corrupt("a column is nested"));
        }
        Ok(Pages {
            window: Window {
                content: content.clone(),
                at: start,
                end,
                ahead: *ahead,
                buffer: Bytes::new(),
            },
            packing: chunk.compression(),
            physical: described.physical_type(),
            fixed_bytes: usize::try_from(described.type_length()).unwrap_or(0),
            is_nullable: described.max_def_level() > 0,
            rows_left: rows,
            is_first: true,
            page: Share::of(held),
            dictionary: Share::of(held),
            held: Arc::clone(held),
        })
    }
}
