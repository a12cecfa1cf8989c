//! What a switch does to real-time updates: how many fields it clears and keeps (rules 6.8).
//! Owns the counting. What is live is decided by [`Override::is_live`] alone.
//!
//! [`Override::is_live`]: crate::Override::is_live

use std::ops::AddAssign;

use sanntid_types::Instant;

use crate::overlay::{Overlay, Override};
use crate::tenant::TenantState;

/// Counts fields that were live before a switch by whether they are live after it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OverlayEffect {
    pub cleared: u64,
    pub kept: u64,
}

impl AddAssign for OverlayEffect {
    fn add_assign(&mut self, other: Self) {
        self.cleared += other.cleared;
        self.kept += other.kept;
    }
}

impl Overlay {
    /// How many fields have an override that is neither expired nor cleared, hidden ones included.
    pub fn live_fields(&self, tenant: &TenantState, now: Instant) -> usize {
        self.fields()
            .filter(|entries| entries.iter().any(|entry| entry.is_live(tenant, now)))
            .count()
    }
}

/// The attributes whose overrides were live before a switch and are not after it.
pub fn cleared_fields<'a>(
    before: &'a TenantState,
    after: &'a TenantState,
    overlay: &'a Overlay,
    now: Instant,
) -> impl Iterator<Item = &'a str> {
    let named = overlay.named_fields();
    let cleared =
        named.filter(move |(_, entries)| effect_on(before, after, entries, now) == Some(false));
    cleared.map(|(attribute, _)| attribute)
}

/// Says what a switch from `before` to `after` does to one overlay.
///
/// A field is kept as long as any of its overrides stays live, even if another one showed before.
pub fn overlay_effect(
    before: &TenantState,
    after: &TenantState,
    overlay: &Overlay,
    now: Instant,
) -> OverlayEffect {
    let mut effect = OverlayEffect::default();
    for entries in overlay.fields() {
        match effect_on(before, after, entries, now) {
            Some(true) => effect.kept += 1,
            Some(false) => effect.cleared += 1,
            None => {}
        }
    }
    effect
}

/// Whether a field that was live before a switch is so after it; `None` where it was not.
fn effect_on(
    before: &TenantState,
    after: &TenantState,
    entries: &[Override],
    now: Instant,
) -> Option<bool> {
    let live_in = |tenant| entries.iter().any(|entry| entry.is_live(tenant, now));
    live_in(before).then(|| live_in(after))
}
