//! The command line: clap types, and the rule that a first word that is no subcommand is a script.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Live terminal demos of Kubernetes and the Gateway API.
///
/// Without a subcommand the first word is a script to present; without any word the bundled tour is
/// presented, on an embedded cluster: no Kubernetes, no Docker and no network are needed.
#[derive(Debug, Parser)]
#[command(name = "footlights", version, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Walk through a script, a key at a time (the default).
    Present(Present),
    /// Run scripts unattended and check what they expect.
    Rehearse(Rehearse),
    /// Run a script unattended and write it as an asciicast.
    Record(Record),
    /// Print what a script would show and run, and run nothing.
    Plan(Plan),
    /// Run the embedded cluster alone, until Ctrl-C.
    Cluster(Cluster),
    /// Run a script unattended and write its screen after some steps as pictures.
    Screenshot(Screenshot),
}

/// A script and its arguments.
#[derive(Debug, Args)]
pub struct ScriptArgs {
    /// The script: Markdown (`.md`) or shell. The bundled tour is `tour`.
    pub script: Option<PathBuf>,
    /// Words for the script: `$1`, `$2` …
    #[arg(allow_hyphen_values = false)]
    pub args: Vec<String>,
    /// demosh's options.
    #[command(flatten)]
    pub demosh: Demosh,
}

/// The cluster that a script is played on.
#[derive(Clone, Debug, Default, Args)]
pub struct On {
    /// Play on this context of yours instead of the embedded cluster: what happens there is real.
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,
    /// The context is meant, although it is used for the first time: nobody is asked.
    #[arg(long, requires = "context")]
    pub trust_context: bool,
    /// The URL of the context's gateway, instead of the address in its Gateway's status.
    #[arg(long, value_name = "URL", requires = "context")]
    pub gateway_url: Option<String>,
}

/// `footlights present`.
#[derive(Debug, Args)]
pub struct Present {
    /// The script and its arguments.
    #[command(flatten)]
    pub script: ScriptArgs,
    /// The theme.
    #[arg(long, env = "FOOTLIGHTS_THEME", default_value = "dark")]
    pub theme: String,
    /// Type nothing out: commands appear at once.
    #[arg(long)]
    pub no_typing: bool,
    /// The cluster.
    #[command(flatten)]
    pub on: On,
}

/// Options of demosh.
#[derive(Clone, Debug, Default, Args)]
pub struct Demosh {
    /// Accepted for demosh's sake: there is no blurb.
    #[arg(long, hide = true)]
    pub no_blurb: bool,
    /// Read no init file (.demoshrc).
    #[arg(long)]
    pub no_init: bool,
    /// Do without the macros wait_clear, browser_then_terminal and start_livecast.
    #[arg(long)]
    pub no_builtins: bool,
    /// Accepted for demosh's sake: the log says more.
    #[arg(long, hide = true)]
    pub debug: bool,
}

/// `footlights rehearse`.
#[derive(Debug, Args)]
pub struct Rehearse {
    /// The scripts; the bundled tour is `tour`.
    #[arg(required = true)]
    pub scripts: Vec<PathBuf>,
    /// Words for the scripts: `$1`, `$2` …
    #[arg(last = true)]
    pub args: Vec<String>,
    /// How the report is written.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
    /// A command that runs longer than this has failed, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    pub step_timeout: u64,
    /// Write a JUnit report too.
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// Go on after a failure, and report all of them.
    #[arg(long)]
    pub keep_going: bool,
    /// Leave the cluster as it is at the end: the embedded one runs on until Ctrl-C, on a context
    /// nothing is cleaned up.
    #[arg(long)]
    pub keep: bool,
    /// The cluster.
    #[command(flatten)]
    pub on: On,
    /// demosh's options.
    #[command(flatten)]
    pub demosh: Demosh,
}

/// `footlights record`.
#[derive(Debug, Args)]
pub struct Record {
    /// The script and its arguments.
    #[command(flatten)]
    pub script: ScriptArgs,
    /// The asciicast to write.
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
    /// The screen's size.
    #[arg(long, value_name = "COLSxROWS", default_value = "100x30", value_parser = size)]
    pub size: (u16, u16),
    /// Overwrite an existing file.
    #[arg(long)]
    pub force: bool,
    /// The theme.
    #[arg(long, env = "FOOTLIGHTS_THEME", default_value = "dark")]
    pub theme: String,
    /// Take no real time for typing and reading: the cast keeps the pauses, the grid stands still
    /// in them.
    #[arg(long)]
    pub fast: bool,
    /// The cluster.
    #[command(flatten)]
    pub on: On,
}

/// `footlights screenshot`.
#[derive(Debug, Args)]
pub struct Screenshot {
    /// The script; the bundled tour is `tour`.
    pub script: PathBuf,
    /// Words for the script: `$1`, `$2` …
    #[arg(last = true)]
    pub args: Vec<String>,
    /// The steps whose screens are wanted, when they have run: the numbers in the top bar.
    #[arg(
        long = "step",
        value_name = "N,…",
        required = true,
        value_delimiter = ','
    )]
    pub steps: Vec<usize>,
    /// The picture to write, an SVG; `{step}` in its name is the step's number.
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
    /// The screen's size.
    #[arg(long, value_name = "COLSxROWS", default_value = "100x30", value_parser = size)]
    pub size: (u16, u16),
    /// Overwrite an existing file.
    #[arg(long)]
    pub force: bool,
    /// The theme.
    #[arg(long, env = "FOOTLIGHTS_THEME", default_value = "dark")]
    pub theme: String,
    /// The cluster.
    #[command(flatten)]
    pub on: On,
    /// demosh's options.
    #[command(flatten)]
    pub demosh: Demosh,
}

/// `footlights plan`.
#[derive(Debug, Args)]
pub struct Plan {
    /// The script and its arguments.
    #[command(flatten)]
    pub script: ScriptArgs,
    /// How the plan is written.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// `footlights cluster`.
#[derive(Debug, Args)]
pub struct Cluster {
    /// What stands in it.
    #[arg(long, value_enum, default_value_t = ProfileName::Gateway)]
    pub profile: ProfileName,
    /// How it tells where it is.
    #[arg(long, value_enum)]
    pub format: Option<Format>,
    /// Write the kubeconfig to this file; it is removed at the end.
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// The API server's port, instead of a free one.
    #[arg(long, value_name = "PORT")]
    pub api_port: Option<u16>,
    /// The port of the first Gateway's first listener, instead of its own.
    #[arg(long, value_name = "PORT")]
    pub gateway_port: Option<u16>,
    /// The port of the proxy into the mesh, instead of a free one.
    #[arg(long, value_name = "PORT")]
    pub mesh_proxy: Option<u16>,
    /// Something else than running a cluster.
    #[command(subcommand)]
    pub instead: Option<ClusterCommand>,
}

/// What `footlights cluster` can do besides running one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Subcommand)]
pub enum ClusterCommand {
    /// Print the built-in Gateway API's CRDs, for `kubectl apply -f -`.
    Crds,
}

/// Text for people or JSON for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// For programs, on standard output alone.
    Json,
}

/// The profiles of the embedded cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ProfileName {
    /// Namespaces only.
    Bare,
    /// The Gateway API and a GatewayClass.
    Gateway,
    /// Faces, its Gateway and its base routes too.
    Workshop,
}

fn size(text: &str) -> Result<(u16, u16), String> {
    let parsed = text
        .split_once('x')
        .and_then(|(c, r)| Some((c.parse().ok()?, r.parse().ok()?)));
    match parsed {
        Some((columns @ 40..=500, rows @ 12..=200)) => Ok((columns, rows)),
        _ => Err("a size is COLSxROWS, from 40x12 to 500x200, such as 100x30".to_owned()),
    }
}

/// Words that clap takes for subcommands.
const SUBCOMMANDS: [&str; 7] = crate::script::names::MODES;

/// Makes `footlights SCRIPT …` into `footlights present -- SCRIPT …`, and nothing into
/// `footlights present`. All that follows such a script is the script's, options too.
pub fn with_default_subcommand(args: Vec<OsString>) -> Vec<OsString> {
    let mut args = args.into_iter();
    let program = args.next().unwrap_or_else(|| "footlights".into());
    let rest: Vec<OsString> = args.collect();
    let takes_value = |word: &OsString| {
        ["--theme", "--context", "--gateway-url"]
            .iter()
            .any(|option| word == option)
    };
    let mut at = 0;
    while at < rest.len() && rest[at].to_string_lossy().starts_with('-') {
        at += if takes_value(&rest[at]) { 2 } else { 1 };
    }
    let first = rest.get(at);
    let is_subcommand = first.is_some_and(|w| SUBCOMMANDS.iter().any(|s| w == s));
    let asks_clap = rest
        .first()
        .is_some_and(|w| ["-h", "--help", "-V", "--version"].iter().any(|s| w == s));
    if is_subcommand || asks_clap {
        return [program].into_iter().chain(rest).collect();
    }
    let mut line: Vec<OsString> = vec![program, "present".into()];
    let script = rest.len().min(at);
    line.extend(rest[..script].iter().cloned());
    if script < rest.len() {
        line.push("--".into());
        line.extend(rest[script..].iter().cloned());
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
        let names: Vec<String> = Cli::command()
            .get_subcommands()
            .map(|c| c.get_name().to_owned())
            .collect();
        assert_eq!(names, SUBCOMMANDS[..6]);
    }

    #[test]
    fn a_first_word_that_is_no_subcommand_is_a_script() {
        for (given, meant) in [
            ("", "present"),
            ("x.md", "present -- x.md"),
            ("x.md --foo a", "present -- x.md --foo a"),
            ("--no-blurb x.md", "present --no-blurb -- x.md"),
            ("--theme light x.md", "present --theme light -- x.md"),
            ("rehearse x.md", "rehearse x.md"),
            ("--version", "--version"),
            ("--theme light", "present --theme light"),
        ] {
            let args = |s: &str| -> Vec<OsString> {
                std::iter::once("footlights")
                    .chain(s.split_whitespace())
                    .map(Into::into)
                    .collect()
            };
            assert_eq!(with_default_subcommand(args(given)), args(meant), "{given}");
        }
    }

    #[test]
    fn words_of_a_script_reach_it() {
        let line = with_default_subcommand(vec!["footlights".into(), "x.md".into(), "--y".into()]);
        let Command::Present(present) = Cli::parse_from(line).command else {
            panic!("not present");
        };
        assert_eq!(present.script.script, Some("x.md".into()));
        assert_eq!(present.script.args, ["--y"]);
    }
}
