//! Points in time as people and files write them: RFC 3339, UTC.

use std::time::{SystemTime, UNIX_EPOCH};

/// The moment now, to the second, such as `2024-02-29T23:59:59Z`. A clock before 1970 is taken to be at 1970.
pub fn now() -> String {
    humantime::format_rfc3339_seconds(SystemTime::now().max(UNIX_EPOCH)).to_string()
}
