//! Owns what tests share.
