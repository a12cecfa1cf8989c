//! Answers reads of one instance: entities by key, filtered collections, timelines and cards.
//!
//! Owns which rows a query selects, in which order and on which page, and the JSON of the answer.
//! Works on one [`Moment`]: must not do I/O of its own, read a clock, or know HTTP.

mod activities;
mod card;
mod collection;
mod csdl;
mod customers;
mod expand;
mod json;
mod link;
mod message;
mod moment;
mod page;
mod path;
mod person;
mod read;
mod segments;
mod tables;
mod timeline_page;
mod token;
mod unified;

pub use card::{Card, card};
pub use csdl::{csdl_json, csdl_xml};
pub use moment::{Answer, Context, Limits, Moment, ReadOptions};
pub use path::{DataPath, embedded_pairs, parse_path};
pub use person::PersonDocument;
pub use read::read;
pub use segments::{Segment, segments};
pub use timeline_page::{Page, TimelineParams, timeline_page};
pub use unified::{activity_json, activity_row, unified_activity_schema};
