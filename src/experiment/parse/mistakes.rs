//! Tests of the answers to frequent mistakes.

use std::path::Path;

use super::parse;

/// Comments are recognised where they are not JSON, and nowhere else.
#[test]
fn comments_are_told_from_other_faults() {
    let of = |text: &str| parse(text, Path::new("e.json")).expect_err("not JSON").to_string();
    for comment in ["// mine", "/* mine */", "# mine"] {
        for text in [
            format!("{comment}\n{{\"models\": 97}}"),
            format!("{{\"models\": 97 {comment}\n}}"),
            format!("{{ {comment}\n}}"),
        ] {
            assert!(of(&text).contains("JSON has no comments"), "{text}: {}", of(&text));
        }
    }
    for text in ["{\"models\": [97,}", "{\"description\": \"// # /*\", }", "{\"models\": 97} x", ""] {
        assert!(!of(text).contains("comments"), "{text}: {}", of(text));
    }
}

#[test]
fn fields_outside_their_object_are_told_where_they_belong() {
    let of = |text: &str| parse(text, Path::new("e.json")).expect_err("an unknown field").to_string();
    assert!(of(r#"{"residency": "streamed"}"#).contains("field \"residency\" belongs inside \"gradients\""));
    assert!(of(r#"{"warmup": 1}"#).contains("field \"warmup\" belongs inside \"repeat\""));
    assert!(of(r#"{"repeat": {"residency": 1}}"#).contains("unknown field \"residency\""));
}
