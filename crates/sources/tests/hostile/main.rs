//! Parquet files that nobody's writer wrote: none makes the reader ask for much memory, panic where
//! it is not caught, or go on for ever. A binary of its own, because it looks at the memory of its
//! process.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::cast_possible_truncation,
    reason = "what goes wrong here fails a test"
)]

mod forging;
mod fuzz;
mod wire;

use std::fs;
use std::sync::Once;
use std::sync::atomic::{AtomicUsize, Ordering};

use sanntid_sources::{
    Error, FileFormat, FileKind, Item, Packing, infer_schema, is_guarded, open_file,
};
use sanntid_types::{Attribute, EdmType, EntityName, EntitySchema, EntityType};

/// How much address space reading a file may ask for, whether or not it is touched.
const MEMORY_MAX: u64 = 256 << 20;
/// How many rows are looked at.
const ROWS_MAX: usize = 20_000;

static PANICS: AtomicUsize = AtomicUsize::new(0);
static ESCAPED: AtomicUsize = AtomicUsize::new(0);

/// Counts panics instead of printing those that the reader expects.
fn count_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let shown = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if is_guarded() {
                PANICS.fetch_add(1, Ordering::Relaxed);
            } else {
                ESCAPED.fetch_add(1, Ordering::Relaxed);
                shown(panic);
            }
        }));
    });
}

/// The address space of this process in bytes: what it has (`VmSize`), or the most it ever had
/// (`VmPeak`).
fn address_space(which: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(which));
    let number = line.unwrap().split_whitespace().nth(1).unwrap();
    number.parse::<u64>().unwrap() * 1024
}

fn schema(names: &[&str]) -> EntitySchema {
    let attribute = |name: &&str| Attribute::plain(name, EdmType::String);
    EntitySchema {
        name: EntityName::parse("Things").unwrap(),
        friendly_name: None,
        entity_type: EntityType::Unspecified,
        attributes: names.iter().map(attribute).collect(),
        key: None,
    }
}

/// Reads a file to its end, or some rows of it; gives how many were read and rejected.
fn read(bytes: &[u8], names: &[&str]) -> Result<(usize, usize), Error> {
    let format = FileFormat {
        kind: FileKind::Parquet,
        packing: Packing::None,
    };
    let file = || {
        let mut file = tempfile::tempfile().unwrap();
        std::io::Write::write_all(&mut file, bytes).unwrap();
        file
    };
    // It may fail, but must not do harm.
    drop(infer_schema(&file()));
    let (mut read, mut rejected) = (0, 0);
    for item in open_file(file(), format, &schema(names))?.take(ROWS_MAX) {
        match item? {
            Item::Row { .. } => read += 1,
            Item::Rejected(_) => rejected += 1,
        }
    }
    Ok((read, rejected))
}

/// One test, so that nothing else asks for memory meanwhile.
#[test]
fn forged_files_are_refused_in_bounded_memory() {
    count_panics();
    forging::whole_files_are_read();
    let before = address_space("VmSize:");
    for forged in forging::ALL.iter().flat_map(|some| some()) {
        let outcome = read(&forged.bytes, &["A"]);
        let asked = address_space("VmPeak:") - before;
        assert!(
            asked < MEMORY_MAX,
            "{}: {} MiB more; {outcome:?}",
            forged.what,
            asked >> 20
        );
        forged.check(outcome);
    }
    let cases = fuzz::flipped(2, 4_000);
    let asked = address_space("VmPeak:") - before;
    assert!(asked < MEMORY_MAX, "{} MiB more", asked >> 20);
    assert_eq!(ESCAPED.load(Ordering::Relaxed), 0);
    let panics = PANICS.load(Ordering::Relaxed);
    println!(
        "{cases} files, {panics} panics caught, {} MiB more",
        asked >> 20
    );
}
