//! The overlay of one profile: per field a stack of overrides, newest accepted first.
//! Owns which override wins and which can still matter (rules 3.5). Must not read a clock.

use sanntid_types::{CallerName, EdmType, Instant, Literal, Position};
use serde::{Deserialize, Serialize};

use crate::tenant::TenantState;

/// Holds one accepted change of one field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Override {
    pub value: Literal,
    /// The declared type at acceptance; while the schema says otherwise, the override is hidden.
    pub data_type: EdmType,
    pub accepted_at: Instant,
    pub expires_at: Instant,
    pub position: Position,
    pub caller: Option<CallerName>,
}

impl Override {
    /// Whether it is neither expired nor cleared: the pure visibility function (rules 2.3).
    pub fn is_live(&self, tenant: &TenantState, now: Instant) -> bool {
        self.expires_at > now && !tenant.is_cleared(self.accepted_at)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Stack {
    attribute: String,
    /// Newest first; each entry outlives every newer one of its type.
    entries: Vec<Override>,
}

/// Holds the overrides kept under one profile id.
///
/// Invariant: one stack per attribute (names compare without case); no stack is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overlay(Vec<Stack>);

impl Overlay {
    /// Puts a newer override on top and drops what can't show again under it.
    pub fn push(&mut self, attribute: &str, newest: Override) {
        match self
            .0
            .iter_mut()
            .find(|stack| stack.attribute.eq_ignore_ascii_case(attribute))
        {
            Some(stack) => {
                stack.entries.retain(|older| {
                    older.expires_at > newest.expires_at || older.data_type != newest.data_type
                });
                stack.entries.insert(0, newest);
            }
            None => {
                self.0.push(Stack {
                    attribute: attribute.to_owned(),
                    entries: vec![newest],
                });
            }
        }
    }

    /// How many overrides of an attribute are kept.
    pub(crate) fn depth(&self, attribute: &str) -> usize {
        let mut stacks = self.0.iter();
        stacks
            .find(|stack| stack.attribute.eq_ignore_ascii_case(attribute))
            .map_or(0, |stack| stack.entries.len())
    }

    /// Drops what has expired or been cleared; both are final.
    pub fn compact(&mut self, tenant: &TenantState, now: Instant) {
        for stack in &mut self.0 {
            stack.entries.retain(|entry| entry.is_live(tenant, now));
        }
        self.0.retain(|stack| !stack.entries.is_empty());
    }

    /// Drops what was accepted no later than a position.
    pub fn erase_through(&mut self, through: Position) {
        for stack in &mut self.0 {
            stack.entries.retain(|entry| entry.position > through);
        }
        self.0.retain(|stack| !stack.entries.is_empty());
    }

    /// The override of an attribute that shows now.
    pub fn live(
        &self,
        attribute: &str,
        data_type: EdmType,
        tenant: &TenantState,
        now: Instant,
    ) -> Option<&Override> {
        self.live_through(Instant::MAX, attribute, data_type, tenant, now)
    }

    /// Of the overrides accepted no later than `through`, the one of an attribute that would show.
    pub(crate) fn live_through(
        &self,
        through: Instant,
        attribute: &str,
        data_type: EdmType,
        tenant: &TenantState,
        now: Instant,
    ) -> Option<&Override> {
        self.0
            .iter()
            .find(|stack| stack.attribute.eq_ignore_ascii_case(attribute))?
            .entries
            .iter()
            .filter(|entry| entry.accepted_at <= through)
            .find(|entry| entry.data_type == data_type && entry.is_live(tenant, now))
    }

    /// The instant after which nothing of it shows any more, whatever refreshes come.
    pub fn expires_at(&self) -> Option<Instant> {
        self.0
            .iter()
            .flat_map(|stack| &stack.entries)
            .map(|entry| entry.expires_at)
            .max()
    }

    /// Whether no override is kept.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The overrides of each field, newest first, with its attribute.
    pub(crate) fn named_fields(&self) -> impl Iterator<Item = (&str, &[Override])> {
        let stacks = self.0.iter();
        stacks.map(|stack| (stack.attribute.as_str(), stack.entries.as_slice()))
    }

    /// The overrides of each field, newest first.
    pub(crate) fn fields(&self) -> impl Iterator<Item = &[Override]> {
        self.0.iter().map(|stack| stack.entries.as_slice())
    }

    /// All overrides kept, with their attribute.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Override)> {
        self.0.iter().flat_map(|stack| {
            stack
                .entries
                .iter()
                .map(move |entry| (stack.attribute.as_str(), entry))
        })
    }
}
