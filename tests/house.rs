//! The house holds: modules reach downwards only, MPI's C interface has one door, unsafe code is where it must be and
//! says why, and nothing outside tests gives up with a panic.

use std::fs;
use std::path::{Path, PathBuf};

/// Which modules a module must not use. The order is that of ARCHITECTURE.md: what is above must not be reached.
const MUST_NOT_USE: &[(&str, &[&str])] = &[
    (
        "gradient",
        &[
            "plan",
            "experiment",
            "stats",
            "results",
            "cost",
            "machine",
            "memory",
            "roofline",
            "engine",
            "mpi",
            "job",
            "cli",
        ],
    ),
    (
        "plan",
        &["experiment", "stats", "results", "cost", "machine", "memory", "roofline", "engine", "mpi", "job", "cli"],
    ),
    ("stats", &["engine", "sync", "mpi", "job", "cli", "experiment"]),
    ("results", &["engine", "mpi", "job", "cli", "experiment"]),
    ("cost", &["engine", "mpi", "job", "cli", "results", "machine", "memory", "roofline", "ceiling", "stats"]),
    ("experiment", &["engine", "mpi", "job", "cli", "results", "cost"]),
    ("machine", &["engine", "mpi", "job", "cli"]),
    ("memory", &["engine", "mpi", "job", "cli"]),
    ("roofline", &["experiment", "results", "mpi", "job", "cli"]),
    ("mpi", &["engine", "plan", "gradient", "experiment", "results", "stats", "job", "cli"]),
    ("engine", &["roofline", "sync", "job", "cli", "experiment", "results"]),
    ("sync", &["roofline", "job", "cli", "experiment", "results", "plan"]),
    ("job", &["ceiling", "cli"]),
    ("ceiling", &["engine", "mpi", "cli"]),
    ("cli", &[]),
];
/// Used by everybody, using nobody.
const AT_THE_BOTTOM: &[&str] = &["lib", "main", "utc"];

/// Where unsafe code may be: MPI's interface, memory that ranks share, vector instructions, calls of libc.
const UNSAFE_IN: &[&str] = &[
    "mpi/",
    "engine/",
    "memory/",
    "roofline/",
    "sync/exchange.rs",
    "machine/binding.rs",
    "machine/memory.rs",
    "machine/load.rs",
    "machine/usage.rs",
    "gradient/source/synthetic.rs",
];

/// A source file, with its comments and with the contents of its strings blanked, both with every line in its place.
struct Source {
    path: String,
    text: String,
    code: String,
}

impl Source {
    fn new(path: &str, text: &str) -> Source {
        Source { path: path.to_owned(), text: text.to_owned(), code: without_comments_and_strings(text) }
    }

    /// The module of the crate's root that the file belongs to.
    fn module(&self) -> &str {
        let first = self.path.split('/').next().unwrap();
        first.strip_suffix(".rs").unwrap_or(first)
    }

    /// True if the whole file is tests.
    fn is_tests(&self) -> bool {
        let name = self.path.rsplit('/').next().unwrap();
        name == "tests.rs" || name.ends_with("_tests.rs") || self.path.contains("/tests/")
    }

    /// The code above its tests, which close a file.
    fn outside_tests(&self) -> &str {
        self.code.split("#[cfg(test)]\nmod ").next().unwrap()
    }
}

/// Rust source without comments, with the contents of string and character literals replaced by spaces.
fn without_comments_and_strings(text: &str) -> String {
    let characters: Vec<char> = text.chars().collect();
    let at = |i: usize| characters.get(i).copied().unwrap_or('\0');
    let mut code = String::with_capacity(text.len());
    let mut i = 0;
    let blank = |code: &mut String, from: usize, to: usize| {
        code.extend(characters[from..to.min(characters.len())].iter().map(|c| if *c == '\n' { '\n' } else { ' ' }));
    };
    while i < characters.len() {
        let begin = i;
        match at(i) {
            '/' if at(i + 1) == '/' => {
                while i < characters.len() && at(i) != '\n' {
                    i += 1;
                }
            }
            '/' if at(i + 1) == '*' => {
                let mut depth = 1;
                i += 2;
                while i < characters.len() && depth > 0 {
                    let step = match (at(i), at(i + 1)) {
                        ('/', '*') => 1,
                        ('*', '/') => -1,
                        _ => 0,
                    };
                    depth += step;
                    i += if step == 0 { 1 } else { 2 };
                }
            }
            'r' if (at(i + 1) == '"' || at(i + 1) == '#') && !is_word(code.chars().last().unwrap_or(' ')) => {
                let hashes = (i + 1..).take_while(|k| at(*k) == '#').count();
                if at(i + 1 + hashes) != '"' {
                    // A raw identifier.
                    code.push('r');
                    i += 1;
                    continue;
                }
                i += 2 + hashes;
                let closes = |i: usize| at(i) == '"' && (1..=hashes).all(|k| at(i + k) == '#');
                while i < characters.len() && !closes(i) {
                    i += 1;
                }
                i += 1 + hashes;
            }
            '"' => {
                i += 1;
                while i < characters.len() && at(i) != '"' {
                    i += if at(i) == '\\' { 2 } else { 1 };
                }
                i += 1;
            }
            '\'' if at(i + 1) == '\\' || at(i + 2) == '\'' => {
                i += if at(i + 1) == '\\' { 3 } else { 2 };
                while i < characters.len() && at(i) != '\'' {
                    i += 1;
                }
                i += 1;
            }
            character => {
                code.push(character);
                i += 1;
                continue;
            }
        }
        blank(&mut code, begin, i);
    }
    code
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// Where `word` stands by itself in `code`.
fn words<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    code.match_indices(word).map(|(at, _)| at).filter(move |at| {
        let before = code[..*at].chars().next_back();
        let after = code[at + word.len()..].chars().next();
        !before.is_some_and(is_word) && !after.is_some_and(is_word)
    })
}

/// The modules of the crate's root that a file names, whether by `crate::x`, `gradshard::x`, a group of either, or
/// enough `super::`.
fn modules_named(source: &Source) -> Vec<String> {
    let code: String =
        source.code.split_whitespace().collect::<Vec<_>>().join(" ").replace(" ::", "::").replace(":: ", "::");
    let depth = source.path.trim_end_matches("/mod.rs").trim_end_matches(".rs").split('/').count();
    // Inside `mod tests` of the file itself it takes one more.
    let roots = ["crate::".to_owned(), "gradshard::".to_owned(), "super::".repeat(depth), "super::".repeat(depth + 1)];
    let mut named = Vec::new();
    for root in &roots {
        for (at, _) in code.match_indices(root.as_str()) {
            let before = code[..at].chars().next_back();
            if before.is_some_and(|c| is_word(c) || c == ':' || c == '$') {
                continue;
            }
            let rest = &code[at + root.len()..];
            if let Some(group) = rest.strip_prefix('{') {
                named.extend(group_heads(group));
            } else {
                named.push(rest.chars().take_while(|c| is_word(*c)).collect());
            }
        }
    }
    named
}

/// The first names of the paths in a group of imports, whose opening brace has been read.
fn group_heads(group: &str) -> Vec<String> {
    let mut heads = vec![String::new()];
    let (mut depth, mut in_head) = (0, true);
    for character in group.chars() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                heads.push(String::new());
                in_head = true;
            }
            ' ' => {}
            c if depth == 0 && in_head && is_word(c) => heads.last_mut().unwrap().push(c),
            _ => in_head = false,
        }
    }
    heads
}

type Faults = Vec<String>;

fn reaches_upwards(source: &Source) -> Faults {
    let module = source.module();
    let named = modules_named(source);
    if AT_THE_BOTTOM.contains(&module) {
        let modules = MUST_NOT_USE.iter().map(|(module, _)| *module);
        let uses = modules.filter(|module| named.iter().any(|name| name == module));
        // main.rs is the way into cli.
        return uses.filter(|_| module == "utc").map(|upper| format!("{}: uses {upper}", source.path)).collect();
    }
    let Some((_, forbidden)) = MUST_NOT_USE.iter().find(|(name, _)| *name == module) else {
        return vec![format!(
            "{}: module {module} has no place in tests/house.rs; say what it must not use",
            source.path
        )];
    };
    let reached = forbidden.iter().filter(|upper| named.iter().any(|name| name == *upper));
    reached.map(|upper| format!("{}: {module} must not use {upper}", source.path)).collect()
}

fn opens_a_second_door_to_mpi(source: &Source) -> Faults {
    let code: String = source.code.chars().filter(|c| !c.is_whitespace()).collect();
    let outside = source.module() != "mpi";
    let names = ["mpi::ffi", "mpi_sys", "ffi::MPI_", "::RSMPI_"];
    // With another crate's `mpi` in front of it, any part of rsmpi would be a second door.
    let rsmpi = ["usempi::", "use::mpi::", "externcratempi"].into_iter();
    let found = names.into_iter().chain(rsmpi).filter(|name| outside && code.contains(name));
    found.map(|name| format!("{}: {name} outside src/mpi", source.path)).collect()
}

fn is_unsafe_in_the_wrong_place(source: &Source) -> Faults {
    let allowed = UNSAFE_IN.iter().any(|place| source.path.starts_with(place));
    let found = words(&source.code, "unsafe").count();
    if allowed || found == 0 { Vec::new() } else { vec![format!("{}: unsafe code", source.path)] }
}

/// An unsafe block or impl needs a comment `SAFETY:` above it (above the statement that it begins or ends), or, where
/// one reason serves a whole item, an earlier one that ends with `likewise below`. A public unsafe function needs a
/// section `# Safety`; those of public traits are clippy's to find.
fn is_unsafe_without_a_reason(source: &Source) -> Faults {
    let lines: Vec<&str> = source.text.lines().collect();
    let mut faults = Vec::new();
    for at in words(&source.code, "unsafe") {
        let line = source.code[..at].matches('\n').count();
        let rest = source.code[at + "unsafe".len()..].trim_start();
        let before = lines[line].trim_start();
        let needed = if rest.starts_with('{') || rest.starts_with("impl") {
            "SAFETY:"
        } else if rest.starts_with("fn ") && before.starts_with("pub") {
            "# Safety"
        } else {
            continue;
        };
        // Up to the end of the statement before: over this statement's own lines, and the comment above it.
        let statement = lines[..line].iter().rev().take_while(|line| !ends_a_statement(line));
        let item = lines[..line].iter().rev().take_while(|line| **line != "}");
        let reason = lines[line].contains(needed)
            || statement.into_iter().any(|line| line.contains(needed))
            || item.into_iter().any(|line| line.contains("SAFETY:") && line.ends_with("likewise below."));
        if !reason {
            faults.push(format!("{}:{}: unsafe without {needed}", source.path, line + 1));
        }
    }
    faults
}

fn ends_a_statement(line: &str) -> bool {
    let code = line.trim();
    !code.starts_with("//") && (code.ends_with(';') || code == "}" || code.is_empty())
}

fn gives_up(source: &Source) -> Faults {
    if source.is_tests() {
        return Vec::new();
    }
    let code = source.outside_tests();
    let calls = [".unwrap()", ".expect(", ".unwrap_err()", ".expect_err(", "panic!(", "todo!(", "unimplemented!("];
    let mut faults = Vec::new();
    for call in calls {
        for (at, _) in code.match_indices(call) {
            let line = code[..at].matches('\n').count() + 1;
            faults.push(format!("{}:{line}: {call} outside tests", source.path));
        }
    }
    faults
}

const RULES: [fn(&Source) -> Faults; 5] =
    [reaches_upwards, opens_a_second_door_to_mpi, is_unsafe_in_the_wrong_place, is_unsafe_without_a_reason, gives_up];

#[test]
fn every_source_file_keeps_the_rules() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    let mut left = vec![root.clone()];
    while let Some(directory) = left.pop() {
        for path in fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                left.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    assert!(files.len() > 100, "{}", files.len());
    let faults_of = |file: &PathBuf| {
        let source =
            Source::new(file.strip_prefix(&root).unwrap().to_str().unwrap(), &fs::read_to_string(file).unwrap());
        RULES.iter().flat_map(|rule| rule(&source)).collect::<Vec<_>>()
    };
    let faults: Vec<String> = files.iter().flat_map(faults_of).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// The report's crate is above the library: it has no order of modules of its own, and no door to MPI.
#[test]
fn the_report_keeps_the_rules_too() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("analysis/src");
    let directories = [root.clone(), root.join("plots")];
    let entries = directories.iter().flat_map(|directory| fs::read_dir(directory).unwrap());
    let files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_file()).collect();
    assert!(files.len() > 20, "{}", files.len());
    let rules = [opens_a_second_door_to_mpi, is_unsafe_in_the_wrong_place, gives_up];
    for file in files.iter().filter(|file| file.extension().is_some_and(|extension| extension == "rs")) {
        let source = Source::new(file.to_str().unwrap(), &fs::read_to_string(file).unwrap());
        let faults: Vec<String> = rules.iter().flat_map(|rule| rule(&source)).collect();
        assert!(faults.is_empty(), "{}", faults.join("\n"));
    }
}

/// What every rule says of a made-up file.
fn faults(path: &str, text: &str) -> Faults {
    let source = Source::new(path, text);
    RULES.iter().flat_map(|rule| rule(&source)).collect()
}

#[test]
fn a_module_that_reaches_upwards_is_found() {
    for (path, text) in [
        ("plan/check.rs", "use crate::engine::Round;"),
        ("plan/check.rs", "use crate::{gradient::Range, engine::Round};"),
        ("plan/check.rs", "use crate::{\n    gradient::{Range, engine},\n    mpi,\n};"),
        ("plan/check.rs", "use super::super::engine::Round;"),
        ("plan/strategies/ring.rs", "fn f() { super::super::super::job::run(); }"),
        ("gradient.rs", "use super::cli;"),
        ("gradient/mod.rs", "use super::cli;"),
        ("gradient/shard.rs", "fn f() { let _ = crate :: plan :: check; }"),
        ("stats/summary.rs", "use gradshard::mpi::World;"),
        ("results/write.rs", "use crate::job::run;"),
        ("cost/price.rs", "use crate::engine::Round;"),
        ("cost/calibrate.rs", "use crate::results::ResultFile;"),
        ("experiment/parse.rs", "use crate::cli::main;"),
        ("engine/round.rs", "use crate::job::Request;"),
        ("mpi/world.rs", "use crate::engine::Transport;"),
        ("job/mod.rs", "use crate::cli::print;"),
        ("utc.rs", "use crate::plan::Plan;"),
        ("newcomer/mod.rs", "fn f() {}"),
    ] {
        assert_eq!(faults(path, text).len(), 1, "{path}: {text}: {:?}", faults(path, text));
    }
    for (path, text) in [
        (
            "plan/check.rs",
            "use crate::gradient::Range; // not crate::engine\n/* crate::mpi */ const A: &str = \"crate::job\";",
        ),
        ("plan/check.rs", "use crate::plan::{self, mpi};\nuse super::engine;"),
        ("engine/round.rs", "use crate::mpi::World; use crate::plan::Plan;"),
        ("cli/run.rs", "use gradshard::job; use super::print;"),
        ("gradient/shard.rs", "macro_rules! m { () => { $crate::gradient::Range } }"),
    ] {
        assert_eq!(faults(path, text), Faults::new(), "{path}: {text}");
    }
}

#[test]
fn a_second_door_to_mpi_is_found() {
    assert_eq!(faults("job/mod.rs", "use mpi::ffi;\n").len(), 2);
    assert_eq!(faults("engine/round.rs", "fn f() { let _ = ::mpi::ffi\n    ::RSMPI_SUM; }").len(), 2);
    assert_eq!(faults("engine/round.rs", "use ::mpi::traits::Communicator;").len(), 1);
    assert_eq!(faults("mpi/world.rs", "use mpi::ffi;"), Faults::new());
    assert_eq!(faults("engine/round.rs", "use crate::mpi::World; // mpi::ffi"), Faults::new());
}

#[test]
fn unsafe_code_in_the_wrong_place_or_without_a_reason_is_found() {
    let reasoned = "// SAFETY: nobody else has it.\nlet x = unsafe { *p };\n";
    assert_eq!(faults("engine/buffer.rs", reasoned), Faults::new());
    assert_eq!(faults("plan/check.rs", reasoned), ["plan/check.rs: unsafe code"]);
    assert_eq!(faults("engine/buffer.rs", "let x = unsafe { *p };"), ["engine/buffer.rs:1: unsafe without SAFETY:"]);
    // The reason of one statement is not that of the next.
    assert_eq!(faults("engine/buffer.rs", &format!("{reasoned}let y = unsafe {{ *p }};")).len(), 1);
    assert_eq!(faults("mpi/world.rs", "unsafe impl Send for X {}").len(), 1);
    assert_eq!(faults("mpi/world.rs", "// SAFETY: no pointers.\nunsafe impl Send for X {}"), Faults::new());
    assert_eq!(faults("mpi/world.rs", "/// Does it.\npub unsafe fn f() {}").len(), 1);
    assert_eq!(faults("mpi/world.rs", "/// # Safety\n/// `p` is valid.\npub unsafe fn f() {}"), Faults::new());
    assert_eq!(
        faults("plan/check.rs", "// unsafe\nconst A: &str = \"unsafe\"; const B: char = '\"'; fn unsafely() {}"),
        Faults::new()
    );
}

#[test]
fn giving_up_outside_tests_is_found() {
    for text in [
        "fn f() { g().unwrap(); }",
        "fn f() { g()\n    .expect(\"g\"); }",
        "fn f() { panic!(\"no\") }",
        "fn f() { todo!() }",
    ] {
        assert_eq!(faults("plan/check.rs", text).len(), 1, "{text}");
    }
    let tested = "fn f() {}\n#[cfg(test)]\nmod tests {\n    fn f() { g().unwrap(); }\n}\n";
    assert_eq!(faults("plan/check.rs", tested), Faults::new());
    assert_eq!(faults("results/write_tests.rs", "fn f() { g().unwrap(); }"), Faults::new());
    assert_eq!(
        faults("plan/check.rs", "/// `x.unwrap()`\nfn f() { g().unwrap_or_default(); r#\".unwrap()\"#; }"),
        Faults::new()
    );
}
