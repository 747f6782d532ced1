//! The model catalogue.
