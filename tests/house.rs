//! Tests the structure of the source: modules use only lower modules, files do not import each other in a circle, one
//! module uses MPI's C interface, and each type name has one definition. Lints in Cargo.toml check other rules.
//!
//! The source is parsed by syn, without code that is compiled only for tests.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use syn::visit::{self, Visit};
use syn::{Attribute, Ident, Item, UseTree};

/// The modules of the crate's root that each module may use. The lowest modules use none.
const MAY_USE: &[(&str, &str)] = &[
    (
        "cli",
        "ceiling cost engine experiment gradient harmless job machine mpi plan predict results roofline screening tune",
    ),
    ("ceiling", "experiment job plan results"),
    ("screening", "experiment gradient harmless memory results"),
    ("job", "engine experiment gradient machine memory mpi plan results roofline stats sync"),
    ("tune", "gradient plan results stats"),
    ("cost", "experiment gradient harmless plan"),
    ("experiment", "gradient plan"),
    ("predict", "gradient plan results roofline"),
    ("roofline", "engine gradient machine plan"),
    ("results", "gradient harmless memory plan roofline stats utc"),
    ("sync", "engine stats"),
    ("engine", "gradient mpi plan"),
    ("plan", "gradient"),
    ("memory", "machine"),
    ("machine", "utc"),
    ("gradient", ""),
    ("harmless", ""),
    ("mpi", ""),
    ("stats", ""),
    ("utc", ""),
];

/// The paths, imports and types of a file, outside tests.
#[derive(Default)]
struct Reading {
    /// Every path in code. It begins with `crate`, `super`, `self`, a crate's name, or a name in scope.
    paths: Vec<Vec<String>>,
    /// Every imported path in full, the name that the import gives it, and whether it is re-exported.
    imports: Vec<(Vec<String>, String, bool)>,
    /// Names of the types defined here.
    types: Vec<String>,
}

fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let syn::Meta::List(list) = &attribute.meta else { return false };
        list.path.is_ident("cfg") && list.tokens.to_string() == "test"
    })
}

fn names(tree: &UseTree, before: &mut Vec<String>, found: &mut Vec<(Vec<String>, String)>) {
    let path = |name: &Ident| before.iter().cloned().chain([name.to_string()]).collect();
    match tree {
        UseTree::Path(part) => {
            before.push(part.ident.to_string());
            names(&part.tree, before, found);
            before.pop();
        }
        UseTree::Name(name) if name.ident == "self" => {
            found.push((before.clone(), before.last().cloned().unwrap_or_default()));
        }
        UseTree::Name(name) => found.push((path(&name.ident), name.ident.to_string())),
        UseTree::Rename(renamed) => found.push((path(&renamed.ident), renamed.rename.to_string())),
        UseTree::Glob(_) => found.push((before.clone(), "*".to_owned())),
        UseTree::Group(group) => group.items.iter().for_each(|tree| names(tree, before, found)),
    }
}

impl<'ast> Visit<'ast> for Reading {
    fn visit_item(&mut self, item: &'ast Item) {
        let (attributes, name) = match item {
            Item::Struct(item) => (&item.attrs, Some(&item.ident)),
            Item::Enum(item) => (&item.attrs, Some(&item.ident)),
            Item::Trait(item) => (&item.attrs, Some(&item.ident)),
            Item::Type(item) => (&item.attrs, Some(&item.ident)),
            Item::Union(item) => (&item.attrs, Some(&item.ident)),
            Item::Mod(item) => (&item.attrs, None),
            Item::Fn(item) => (&item.attrs, None),
            Item::Impl(item) => (&item.attrs, None),
            Item::Use(item) => (&item.attrs, None),
            _ => return visit::visit_item(self, item),
        };
        if is_for_tests(attributes) {
            return;
        }
        self.types.extend(name.map(Ident::to_string));
        if let Item::Use(item) = item {
            let mut found = Vec::new();
            names(&item.tree, &mut Vec::new(), &mut found);
            let given_on = !matches!(item.vis, syn::Visibility::Inherited);
            self.imports.extend(found.into_iter().map(|(path, name)| (path, name, given_on)));
        }
        visit::visit_item(self, item);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names = path.segments.iter().map(|part| part.ident.to_string());
        let root = path.leading_colon.map(|_| String::new());
        self.paths.push(root.into_iter().chain(names).collect());
        visit::visit_path(self, path);
    }
}

/// A source file outside tests.
struct Source {
    /// Its path in its crate's src/, such as `plan/check.rs`.
    path: String,
    /// Its module's path, such as `crate::plan::check`.
    module: Vec<String>,
    reading: Reading,
}

impl Source {
    fn new(path: &str, text: &str) -> Source {
        let mut module: Vec<String> =
            ["crate"].into_iter().chain(path.trim_end_matches(".rs").split('/')).map(str::to_owned).collect();
        if matches!(module.last().map(String::as_str), Some("mod" | "lib" | "main")) {
            module.pop();
        }
        let mut reading = Reading::default();
        reading.visit_file(&syn::parse_file(text).unwrap_or_else(|error| panic!("{path}: {error}")));
        Source { path: path.to_owned(), module, reading }
    }

    /// `path` from the crate's root, if it begins with `crate`, `super`, `self` or this crate's name.
    fn rooted(&self, path: &[String]) -> Option<Vec<String>> {
        let (first, rest) = path.split_first()?;
        let mut base = match first.as_str() {
            "crate" | "gradshard" => vec!["crate".to_owned()],
            "self" => self.module.clone(),
            "super" => self.module[..self.module.len().saturating_sub(1)].to_vec(),
            _ => return None,
        };
        for name in rest {
            match name.as_str() {
                "super" => drop(base.pop()),
                name => base.push(name.to_owned()),
            }
        }
        Some(base)
    }

    /// Every path within the crate that this file names, from the root.
    fn named(&self) -> impl Iterator<Item = Vec<String>> {
        let imports = self.reading.imports.iter().filter(|(.., given_on)| !given_on).map(|(path, ..)| path);
        imports.chain(&self.reading.paths).filter_map(|path| self.rooted(path))
    }
}

/// Every source file below `directory`, except those for tests only.
fn sources(directory: &str) -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(directory);
    let mut files = Vec::new();
    let mut left = vec![root.clone()];
    while let Some(directory) = left.pop() {
        for path in fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()) {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                left.push(path);
            } else if name.ends_with(".rs") && !name.ends_with("tests.rs") {
                let inside = path.strip_prefix(&root).unwrap().to_string_lossy().into_owned();
                files.push(Source::new(&inside, &fs::read_to_string(&path).unwrap()));
            }
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

fn reaches_upwards(source: &Source) -> Vec<String> {
    let Some(module) = source.module.get(1) else { return Vec::new() };
    let Some((_, may_use)) = MAY_USE.iter().find(|(name, _)| name == module) else {
        return vec![format!("{}: {module} has no place in tests/house.rs; say what it may use", source.path)];
    };
    let known = |name: &String| MAY_USE.iter().any(|(module, _)| module == name);
    let used: BTreeSet<String> = source.named().filter_map(|path| path.get(1).cloned()).filter(known).collect();
    let wrong = used.into_iter().filter(|name| name != module && !may_use.split(' ').any(|may| may == name));
    wrong.map(|name| format!("{}: {module} must not use {name}", source.path)).collect()
}

fn opens_a_second_door_to_mpi(source: &Source) -> Vec<String> {
    if source.module.get(1).is_some_and(|module| module == "mpi") {
        return Vec::new();
    }
    let imports = source.reading.imports.iter().map(|(path, ..)| path);
    let found = imports.chain(&source.reading.paths).filter(|path| {
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        matches!(path.as_slice(), ["mpi_sys", ..] | ["", "mpi_sys", ..])
    });
    found.map(|path| format!("{}: {} outside src/mpi", source.path, path.join("::"))).collect()
}

/// For each file, the files whose items it imports. Re-exported names are followed to their definition.
fn imports(sources: &[Source]) -> BTreeMap<&str, BTreeSet<&str>> {
    let by_module: BTreeMap<&[String], &Source> =
        sources.iter().map(|source| (source.module.as_slice(), source)).collect();
    let defines = |path: &[String]| {
        let mut path = path.to_vec();
        // Each turn follows one re-export. Chains of re-exports are short.
        for _ in 0..8 {
            let (length, source) =
                (1..=path.len()).rev().find_map(|length| Some((length, *by_module.get(&path[..length])?)))?;
            let given_on = path.get(length).and_then(|name| {
                let (from, ..) = source.reading.imports.iter().find(|(_, given, on)| *on && given == name)?;
                let child = || Some([source.module.as_slice(), from.as_slice()].concat());
                let mut next = source.rooted(from).or_else(child)?;
                next.extend_from_slice(&path[length + 1..]);
                Some(next)
            });
            match given_on {
                Some(next) => path = next,
                None => return Some(source.path.as_str()),
            }
        }
        None
    };
    let of = |source: &Source| source.named().filter_map(|path| defines(&path)).collect::<BTreeSet<_>>();
    sources.iter().map(|source| (source.path.as_str(), of(source))).collect()
}

/// The shortest circle from `file` back to itself.
fn circle<'a>(imports: &BTreeMap<&'a str, BTreeSet<&'a str>>, file: &'a str) -> Option<Vec<&'a str>> {
    let mut seen = BTreeSet::new();
    let mut ways = std::collections::VecDeque::from([vec![file]]);
    while let Some(way) = ways.pop_front() {
        for next in imports.get(way[way.len() - 1]).into_iter().flatten() {
            if *next == file && way.len() > 1 {
                return Some(way);
            }
            if *next != file && seen.insert(*next) {
                ways.push_back([way.as_slice(), &[*next]].concat());
            }
        }
    }
    None
}

fn circles(sources: &[Source]) -> BTreeSet<String> {
    let imports = imports(sources);
    let mut found = BTreeSet::new();
    for file in imports.keys() {
        if let Some(mut way) = circle(&imports, file) {
            way.sort_unstable();
            found.insert(way.join(" <-> "));
        }
    }
    found
}

/// Type names with more than one definition, with the files that define them.
fn defined_twice(sources: &[Source]) -> Vec<String> {
    let mut places: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for source in sources {
        for name in &source.reading.types {
            places.entry(name).or_default().push(&source.path);
        }
    }
    places.retain(|_, files| files.len() > 1);
    places.into_iter().map(|(name, files)| format!("{name}: {}", files.join(", "))).collect()
}

#[test]
fn modules_reach_downwards() {
    let sources = sources("src");
    assert!(sources.len() > 100, "{}", sources.len());
    let faults: Vec<String> = sources.iter().flat_map(reaches_upwards).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn mpi_has_one_door() {
    let faults: Vec<String> = [sources("src"), sources("analysis/src"), sources("functions/src")]
        .iter()
        .flatten()
        .flat_map(opens_a_second_door_to_mpi)
        .collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    for directory in ["src", "analysis/src", "functions/src"] {
        let found = circles(&sources(directory));
        assert!(found.is_empty(), "{}", found.into_iter().collect::<Vec<_>>().join("\n"));
    }
}

#[test]
fn a_type_name_means_one_thing() {
    let mut all = sources("src");
    all.extend(sources("analysis/src"));
    all.extend(sources("functions/src"));
    let found = defined_twice(&all);
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// Each rule finds its violation in made-up files.
#[test]
fn faults_are_found() {
    let upward = |path: &str, text: &str| reaches_upwards(&Source::new(path, text)).len();
    for (path, text) in [
        ("plan/check.rs", "use crate::engine::Round;"),
        ("plan/check.rs", "use crate::{gradient::Range, engine::Round};"),
        ("plan/strategies/ring.rs", "fn f() { super::super::super::job::run(); }"),
        ("gradient/mod.rs", "use super::cli;"),
        ("stats/summary.rs", "use gradshard::mpi::World;"),
        ("newcomer/mod.rs", "fn f() {}"),
    ] {
        assert_eq!(upward(path, text), 1, "{path}: {text}");
    }
    assert_eq!(
        upward("plan/check.rs", "use crate::gradient::Range; #[cfg(test)] mod tests { use crate::engine::X; }"),
        0
    );

    let doors = |path: &str, text: &str| opens_a_second_door_to_mpi(&Source::new(path, text)).len();
    assert_eq!(doors("job/mod.rs", "use mpi_sys as ffi;"), 1);
    assert_eq!(doors("engine/round.rs", "fn f() { let _ = mpi_sys::RSMPI_SUM; }"), 1);
    assert_eq!(doors("mpi/world.rs", "use mpi_sys as ffi;"), 0);
    assert_eq!(doors("engine/round.rs", "use crate::mpi::World;"), 0);

    let files = [
        Source::new("plan/mod.rs", "pub use a::A; mod a; mod b;"),
        Source::new("plan/a.rs", "use crate::plan::b::B; pub struct A;"),
        Source::new("plan/b.rs", "use super::A; pub struct B;"),
        Source::new("plan/c.rs", "use crate::plan::A; enum B {}"),
    ];
    assert_eq!(circles(&files).into_iter().collect::<Vec<_>>(), ["plan/a.rs <-> plan/b.rs"]);
    assert_eq!(defined_twice(&files), ["B: plan/b.rs, plan/c.rs"]);
}
