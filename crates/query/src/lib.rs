//! Answers OData reads over one moment of an instance.
