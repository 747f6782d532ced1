//! Tests the whole program: its output is well-formed, needs no other files, and agrees with the result file.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, clippy::too_many_lines)]

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output as Finished};
use std::time::Instant;

mod made;

use made::{made, run, save};

fn text(finished: &Finished) -> String {
    format!("{}{}", String::from_utf8_lossy(&finished.stdout), String::from_utf8_lossy(&finished.stderr))
}

fn written(directory: &Path, arguments: &[&str], code: i32) -> (String, String) {
    let out = directory.join("out");
    let finished = run(&[arguments, &["--out", out.to_str().unwrap()]].concat());
    assert_eq!(finished.status.code(), Some(code), "{}", text(&finished));
    (fs::read_to_string(out.join("index.html")).unwrap_or_default(), text(&finished))
}

/// The Python of the tests with h5py; None if there is none. In CI this fails the test.
fn python() -> Option<Command> {
    let python = std::env::var("GRADSHARD_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let there = Command::new(&python).args(["-c", "import h5py"]).output().is_ok_and(|done| done.status.success());
    if !there {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "h5py is needed in CI");
        let _ = writeln!(std::io::stderr(), "SKIPPED: no h5py in {python}");
    }
    there.then(|| Command::new(python))
}

fn script(name: &str) -> String {
    format!("{}/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// h5py reads the result file, and Python's html.parser, csv and xml read the report. Answers, tables, marks and bars
/// must agree with the file's numbers.
#[test]
fn the_report_says_what_the_file_says() {
    let directory = tempfile::tempdir().unwrap();
    let path = save(directory.path(), "made.h5", &made(3, 3, 12, 1.0));
    let (page, said) = written(directory.path(), &[path.to_str().unwrap()], 0);
    assert!(said.contains("Shard. sharded-direct"), "{said}");
    assert!(page.contains("Made &lt;up&gt; &amp;"), "texts are escaped");
    let Some(mut python) = python() else { return };
    let checked =
        python.arg(script("tests/python/check_report.py")).arg(&path).arg(directory.path().join("out")).output();
    let checked = checked.unwrap();
    assert!(checked.status.success(), "{}", text(&checked));
}

#[test]
fn pictures_and_page_are_well_formed_and_need_nothing_from_elsewhere() {
    let directory = tempfile::tempdir().unwrap();
    let path = save(directory.path(), "made.h5", &made(2, 2, 12, 1.0));
    let (page, _) = written(directory.path(), &[path.to_str().unwrap()], 0);
    for elsewhere in ["http:", "https:", "@import", "<link", "src="] {
        assert!(!page.contains(elsewhere), "{elsewhere}");
    }
    assert_eq!(page.matches("<script>").count(), 1);
    // A caveat is said once, and pictures refer to it.
    assert_eq!(page.matches("ranks share cores, so times depend on the scheduler").count(), 1);
    assert!(page.matches("href=\"#limit-1\"").count() > 5);
    let cost = page.split("Calculated cost on functions</h2>").nth(1).unwrap();
    assert!(cost.starts_with("<details><summary>"), "{}", &cost[..80]);
    assert!(
        page.contains("prefers-color-scheme:dark")
            && page.contains("@media print")
            && page.contains("width=device-width")
    );
    // Every colour of a picture in the page is a variable, so that it follows the light or dark mode.
    let body = page.split("</style>").nth(1).unwrap();
    assert!(!body.contains("fill=\"#") && !body.contains("stroke=\"#"), "a fixed colour");
    let mut pictures = 0;
    for entry in fs::read_dir(directory.path().join("out")).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.extension().is_some_and(|ending| ending == "svg") {
            pictures += 1;
            let svg = fs::read_to_string(&entry).unwrap();
            let document = roxmltree::Document::parse(&svg).unwrap_or_else(|error| panic!("{entry:?}: {error}"));
            assert_eq!(document.root_element().tag_name().name(), "svg");
            let elsewhere = svg.replace("xmlns=\"http://www.w3.org/2000/svg\"", "");
            assert!(!elsewhere.contains("http") && !elsewhere.contains("href"), "{entry:?}");
            let words: String = document.descendants().filter_map(|node| node.text()).collect();
            assert!(
                words.contains("n =")
                    || words.contains("a calculation")
                    || words.contains("elements that differ")
                    || words.contains("aggregating rank that holds most"),
                "{entry:?}: {words}"
            );
            let png = fs::read(entry.with_extension("png")).unwrap();
            assert_eq!(png[..8], *b"\x89PNG\r\n\x1a\n");
            let name = entry.file_stem().unwrap().to_str().unwrap();
            assert!(page.contains(&format!("href=\"{name}.svg\"")), "{name} is not on the page");
        }
    }
    assert!(pictures >= 18, "{pictures}");
}

#[test]
fn a_regression_sets_the_exit_code() {
    let directory = tempfile::tempdir().unwrap();
    let base = save(directory.path(), "base.h5", &made(2, 2, 20, 1.0));
    let slow = save(directory.path(), "slow.h5", &made(2, 2, 20, 1.3));
    let (base, slow) = (base.to_str().unwrap(), slow.to_str().unwrap());
    let (page, said) = written(directory.path(), &[slow, "--baseline", base], 1);
    // There are two comparisons with two cells of sharded-direct each.
    assert!(said.contains("4 of the baseline's cells regressed"), "{said}");
    assert!(page.contains("class=\"bad\"") && page.contains("SLOWER"));
    let table = fs::read_to_string(directory.path().join("out/side-by-side.csv")).unwrap();
    let flagged: Vec<&str> = table.lines().filter(|line| line.contains("SLOWER")).collect();
    assert!(flagged.len() == 4 && flagged.iter().all(|line| line.contains("sharded-direct")), "{table}");
    // The same file and a faster file are no regressions.
    written(directory.path(), &[base, "--baseline", base], 0);
    written(directory.path(), &[base, "--baseline", slow], 0);
    // Without anything that shows how fast the machine was, one job a side decides nothing, unless a control does.
    let mut bare = made(2, 2, 20, 1.3);
    bare.blocks.clear();
    let bare = save(directory.path(), "bare.h5", &bare);
    let bare = bare.to_str().unwrap();
    let (_, said) = written(directory.path(), &[bare, "--baseline", base], 3);
    assert!(said.contains("14 of the baseline's cells are not decidable"), "{said}");
    let (_, said) = written(directory.path(), &[bare, "--baseline", base, "--control", "tree-central"], 1);
    assert!(said.contains("4 of the baseline's cells regressed"), "{said}");
    // With a margin of 50 % there is no regression.
    written(directory.path(), &[slow, "--baseline", base, "--margin", "0.5"], 0);
    // Without a baseline a comparison never fails.
    let (_, said) = written(directory.path(), &[&format!("before={base}"), &format!("after={slow}")], 0);
    assert!(said.contains("after against before: of 14 cells, 4 slower"), "{said}");
}

#[test]
fn a_cell_that_is_gone_is_a_regression_unless_a_subset_is_meant() {
    let directory = tempfile::tempdir().unwrap();
    let base = save(directory.path(), "base.h5", &made(2, 2, 20, 1.0));
    let less = save(directory.path(), "less.h5", &made(1, 2, 20, 1.0));
    let (base, less) = (base.to_str().unwrap(), less.to_str().unwrap());
    let (_, said) = written(directory.path(), &[less, "--baseline", base], 1);
    assert!(said.contains("7 of the baseline's cells regressed"), "{said}");
    let (_, said) = written(directory.path(), &[less, "--baseline", base, "--subset"], 0);
    assert!(said.contains("of 7 cells") && !said.contains("lost"), "{said}");
    let other = save(directory.path(), "none.h5", &made(0, 1, 1, 1.0));
    let (_, said) = written(directory.path(), &[other.to_str().unwrap(), "--baseline", base], 2);
    assert!(said.contains("no timed cell in common"), "{said}");
}

#[test]
fn what_is_no_result_file_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let (_, said) = written(directory.path(), &["/nonexistent/x.h5"], 2);
    assert!(said.starts_with("gradshard-report: ") && said.contains("/nonexistent/x.h5"), "{said}");
    let (page, _) = {
        let empty = save(directory.path(), "empty.h5", &made(0, 1, 1, 1.0));
        written(directory.path(), &[empty.to_str().unwrap()], 0)
    };
    assert!(page.contains("there is no answer about ranks"));
}

/// According to COST.md, which checks it with numpy, sharding with 20 clients and four shards is cheaper than λ-FL from
/// 112 MiB [106, 120] on. The MPI library's strategies have no price and no curve.
#[test]
fn cost_and_its_crossing_are_drawn_for_what_has_a_price() {
    let directory = tempfile::tempdir().unwrap();
    let mut file = made(1, 3, 12, 1.0);
    // A model of 4 GiB is infeasible with these M, so the largest M is used.
    for cell in &mut file.cells {
        cell.elements = 1 << 30;
    }
    let path = save(directory.path(), "made.h5", &file);
    let (page, _) = written(directory.path(), &[path.to_str().unwrap()], 0);
    let words = |svg: &str| -> Vec<String> {
        let document = roxmltree::Document::parse(svg).unwrap();
        document.descendants().filter_map(|node| node.text()).map(|text| text.trim().to_owned()).collect()
    };
    let drawn = words(&fs::read_to_string(directory.path().join("out/cost-over-size.svg")).unwrap());
    for strategy in ["sharded-direct, M = 4", "sharded-ring, M = 4", "tree-central", "tree-lambda-fl"] {
        assert!(drawn.iter().any(|text| text == strategy), "{strategy}: {drawn:?}");
    }
    assert!(!drawn.iter().any(|text| text.starts_with("native-")), "{drawn:?}");
    assert!(page.contains("than tree-lambda-fl from 112 MiB [106 MiB, 120 MiB]"), "{drawn:?}");
    for cell in &mut file.cells {
        cell.clients = 201;
    }
    let path = save(directory.path(), "many.h5", &file);
    let (page, _) = written(directory.path(), &[path.to_str().unwrap()], 0);
    assert!(page.contains("Crossings are not looked for with more than 200 clients"));
}

/// A sweep begins with a sentence and a matrix of places and models instead of boxes.
#[test]
fn a_sweep_opens_with_a_matrix() {
    let directory = tempfile::tempdir().unwrap();
    let mut file = made(6, 2, 12, 1.0);
    for cell in &mut file.cells {
        cell.nodes = 1 + cell.comparison % 2;
        cell.model = format!("m{}", cell.comparison / 2);
        cell.elements = 1 << (16 + cell.comparison / 2);
    }
    let path = save(directory.path(), "made.h5", &file);
    let (page, _) = written(directory.path(), &[path.to_str().unwrap()], 0);
    assert!(page.contains("The answer of all 6 comparisons: shard."));
    let matrix = page.split("<table class=\"matrix\">").nth(1).unwrap().split("</table>").next().unwrap();
    for heading in ["m0 (256 KiB)", "m1 (512 KiB)", "m2 (1 MiB)", "1 node", "2 nodes"] {
        assert_eq!(matrix.matches(&format!(">{heading}</th>")).count(), 1, "{heading}: {matrix}");
    }
    assert_eq!(matrix.matches("<td class=\"shard\">").count(), 6);
    assert_eq!(page.matches("<ul class=\"answers\">").count(), page.matches("<ul class=\"answers\"><li").count());
    assert!(page.contains("6 answers, in sentences"));
}

/// With 2,000 cells of 20 rounds the page remains small.
#[test]
fn a_file_of_two_thousand_cells_makes_a_small_page() {
    let directory = tempfile::tempdir().unwrap();
    let file = made(154, 5, 20, 1.0);
    assert_eq!(file.cells.len(), 2002);
    let path = save(directory.path(), "large.h5", &file);
    let begun = Instant::now();
    let (page, _) = written(directory.path(), &[path.to_str().unwrap()], 0);
    let seconds = begun.elapsed().as_secs_f64();
    let _ = writeln!(std::io::stderr(), "2,002 cells: {} bytes, {seconds:.1} s", page.len());
    assert!(page.len() < 2_000_000, "{} bytes", page.len());
    assert!(seconds < 60.0, "{seconds} s");
}

/// The script has the ten lines of README.md, and it runs.
#[test]
fn ten_lines_of_python_read_a_file() {
    let lines = fs::read_to_string(script("read_in_ten_lines.py")).unwrap();
    assert!(lines.lines().count() <= 10);
    let page = fs::read_to_string(script("README.md")).unwrap();
    let indented: String = lines.lines().map(|line| format!("    {line}\n")).collect();
    assert!(page.contains(&indented), "README.md and the script differ");
    let directory = tempfile::tempdir().unwrap();
    let path = save(directory.path(), "made.h5", &made(1, 1, 12, 1.0));
    let Some(mut python) = python() else { return };
    let pandas = python.arg(script("read_in_ten_lines.py")).arg(&path).output().unwrap();
    assert!(pandas.status.success(), "{}", text(&pandas));
    let said = text(&pandas);
    assert!(said.contains("sharded-direct") && said.contains("12.0"), "{said}");
}
