//! `gradshard tune`: rules for the MPI library, from sweeps over its algorithms.

mod verify;

use std::fs::Permissions;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use clap::Args;
use gradshard::harmless::json_text;
use gradshard::plan::Algorithm;
use gradshard::results::ResultFile;
use gradshard::tune::open_mpi::{Classic, classic, version_3};
use gradshard::tune::{Effect, Finding, Rules, findings_json, findings_text, known, mpich, verified, verified_text};
use serde_json::json;

use super::screen::TrustArgs;
use super::{Failure, ListFormat, input, print, say};

/// A format of rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum RulesFormat {
    /// Open MPI, every release
    OpenMpi,
    /// Open MPI from 5.0.7 on: the second version of the same format
    OpenMpi2,
    /// Open MPI from 6.0 on: JSON, which also tells one node from one rank a node
    OpenMpiJson,
    /// MPICH: variables of the environment, for all sizes
    Mpich,
}

/// Write rules that tell the MPI library which algorithm to use, where that is known.
#[derive(Args, Clone, Debug)]
pub struct TuneArgs {
    /// Result files of experiments with `"native": {"algorithm": "all"}` or a list that holds "default". Rules are made for
    /// the calls that stand alone: native-reduce at the end root, native-reduce-scatter and -block scattered,
    /// native-allreduce everywhere
    #[arg(required = true, value_name = "RESULT")]
    files: Vec<PathBuf>,
    /// Least gain over the library's default for a rule: the whole interval must lie above it
    #[arg(long, default_value = "0.03", value_name = "PART")]
    margin: f64,
    /// Only measurements on this number of nodes
    #[arg(long)]
    nodes: Option<u64>,
    /// File for the rules; without it only the findings are printed
    #[arg(long, short)]
    output: Option<PathBuf>,
    /// Format of the rules; default: open-mpi or mpich, by the library that was measured
    #[arg(long, value_enum, requires = "output")]
    rules: Option<RulesFormat>,
    /// How to print the findings
    #[arg(long, value_enum, default_value = "text")]
    format: ListFormat,
    /// Launch jobs by this command, such as "mpirun -n 4", without and with the rules in turn, and compare
    #[arg(long, value_name = "COMMAND", requires = "output")]
    verify: Option<String>,
    /// Pairs of launches for --verify
    #[arg(long, default_value = "5", value_parser = clap::value_parser!(u8).range(2..))]
    launches: u8,
    #[command(flatten)]
    trust: TrustArgs,
}

/// Rules in one library's format.
enum LibraryRules {
    /// Text for the file that Open MPI reads.
    OpenMpi(String),
    /// Variables for MPICH.
    Mpich(Vec<(&'static str, Algorithm)>),
}

impl LibraryRules {
    fn text(&self) -> String {
        match self {
            LibraryRules::OpenMpi(text) => text.clone(),
            LibraryRules::Mpich(variables) => mpich::environment(variables),
        }
    }
}

/// Prints the findings, and writes and verifies rules if asked to. Fails if a verified call is slower.
pub fn tune(args: &TuneArgs) -> Result<(), Failure> {
    if !(args.margin >= 0.0 && args.margin.is_finite()) {
        return Err(input(anyhow!("--margin {}: write a part of 1, such as 0.03 for 3 %", args.margin)));
    }
    let (files, findings) = measured(args).map_err(input)?;
    let rules = Rules::of(&findings, args.margin);
    match args.format {
        ListFormat::Text => print(&findings_text(&findings, args.margin))?,
        ListFormat::Json => print(&json_text(&format!("{:#}\n", findings_json(&findings, args.margin)?)))?,
    }
    let Some(output) = &args.output else { return Ok(()) };
    let written = write(args, &files, &findings, &rules).map_err(input)?;
    save(output, &written.text())?;
    say(&format!("{}: {}", output.display(), how_to_use(&written, output)));
    let Some(command) = &args.verify else { return Ok(()) };
    let launches = verify::launched(command, args.launches, &files, &findings, &written, output)?;
    let verified = verified(&launches.plain, &launches.ruled, &rules, args.margin);
    match args.format {
        ListFormat::Text => print(&verified_text(&verified))?,
        ListFormat::Json => print(&json_text(&format!("{:#}\n", json!(verified))))?,
    }
    match verified.iter().filter(|call| call.effect == Effect::Slower).count() {
        0 => Ok(()),
        slower => Err(Failure::Other(anyhow!("{slower} calls are slower with these rules by more than the margin"))),
    }
}

/// Reads the files and compares the algorithms in them.
fn measured(args: &TuneArgs) -> anyhow::Result<(Vec<ResultFile>, Vec<Finding>)> {
    let files = args.files.iter().map(|path| args.trust.open(path)).collect::<Result<Vec<ResultFile>, _>>()?;
    let libraries = files.iter().map(|file| file.environment.transport()).collect::<Vec<&str>>();
    if let Some(other) = libraries.iter().find(|library| **library != libraries[0]) {
        bail!(
            "the files are of two MPI libraries, {} and {other}: rules for one say nothing about the other",
            libraries[0]
        );
    }
    let mut findings = known(&files)?;
    findings.retain(|finding| args.nodes.is_none_or(|nodes| finding.shape.nodes == nodes));
    if findings.iter().all(|finding| finding.candidates.is_empty()) {
        bail!(
            "no call of the library was timed by its default and by another algorithm{}; measure one with \"native\": \
             {{\"algorithm\": \"all\"}}, as configs/library-algorithms.json does",
            args.nodes.map_or(String::new(), |nodes| format!(" on {nodes} nodes"))
        );
    }
    Ok((files, findings))
}

/// The rules in the format that is asked for, or that fits the library.
fn write(args: &TuneArgs, files: &[ResultFile], findings: &[Finding], rules: &[Rules]) -> anyhow::Result<LibraryRules> {
    let library = files.first().map_or("", |file| file.environment.transport());
    let format = match args.rules {
        Some(format) => format,
        None if library.contains("Open MPI") => RulesFormat::OpenMpi,
        None if library.contains("MPICH") => RulesFormat::Mpich,
        None => bail!("{library}: there is no usual format of rules for this library; name one by --rules"),
    };
    Ok(match format {
        RulesFormat::OpenMpi => LibraryRules::OpenMpi(classic(rules, Classic::One)?),
        RulesFormat::OpenMpi2 => LibraryRules::OpenMpi(classic(rules, Classic::Two)?),
        RulesFormat::OpenMpiJson => LibraryRules::OpenMpi(format!("{:#}\n", version_3(rules))),
        RulesFormat::Mpich => LibraryRules::Mpich(mpich::variables(findings, args.margin)),
    })
}

/// Writes `text` beside `path` and renames it, so that no job reads half a file.
fn save(path: &Path, text: &str) -> Result<(), Failure> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new()
        .permissions(Permissions::from_mode(0o644))
        .tempfile_in(directory)
        .with_context(|| path.display().to_string())
        .map_err(input)?;
    file.write_all(text.as_bytes()).with_context(|| path.display().to_string())?;
    file.persist(path).with_context(|| path.display().to_string())?;
    Ok(())
}

/// A sentence that tells a person how a job takes the rules.
fn how_to_use(written: &LibraryRules, output: &Path) -> String {
    match written {
        LibraryRules::OpenMpi(_) => format!(
            "export OMPI_MCA_coll_tuned_use_dynamic_rules=1 and OMPI_MCA_coll_tuned_dynamic_rules_filename={} for jobs that \
             shall use it",
            std::path::absolute(output).unwrap_or_else(|_| output.to_owned()).display()
        ),
        LibraryRules::Mpich(variables) if variables.is_empty() => {
            "no algorithm is known to be faster at one size and no slower at any other; nothing to set".to_owned()
        }
        LibraryRules::Mpich(_) => format!(". {} before jobs that shall use it", output.display()),
    }
}
