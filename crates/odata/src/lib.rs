//! OData queries: system query options parsed to trees, bound to a schema, evaluated over rows.
//!
//! Owns the grammar (OData 4.01), the meaning of filters and orders, and what of them an index may
//! use. Works on untrusted text: length, nesting and lists are bounded, and nothing panics.
//! Must not do I/O, read a clock, or know where rows come from.

mod ast;
mod batch;
mod bind;
mod constant;
mod eval;
mod lexer;
mod order;
mod parser;
mod plan;
mod query;
#[cfg(test)]
mod tests;

pub use ast::{At, CompareOp, Expr, Name, OrderKey, Value};
pub use batch::{BatchItem, BatchMethod, BatchTarget, ITEMS_MAX, parse_batch};
pub use bind::{BoundFilter, bind_names};
pub use constant::Constant;
pub use eval::Fields;
pub use order::BoundOrder;
pub use parser::{
    DEPTH_MAX, LIST_LEN_MAX, OPTION_BYTES_MAX, parse_filter, parse_names, parse_order,
};
pub use query::QueryOptions;
