//! The program's command line; one file a subcommand.

mod call;
mod dev;
mod endpoints;
mod key_file;
mod keygen;
mod lint;
mod manifest;
mod mcp;
mod operations;
mod serve;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use super::{App, Config, StartError, StartProblem, log};

#[derive(Debug, Parser)]
#[command(about = about(), disable_help_subcommand = true)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Answer the agent, with settings from the environment, until SIGTERM or Ctrl-C.
    Serve,
    /// Serve on this machine with a generated key, to try the endpoints.
    Dev,
    /// Print the manifest that the agent decides by.
    Manifest(manifest::Arguments),
    /// Say what an agent would stumble over in the descriptions.
    Lint(lint::Arguments),
    /// List the endpoints.
    Endpoints,
    /// Call an endpoint as the agent does: signed.
    Call(call::Arguments),
    /// Look operations up in the store, and settle those whose outcome is unknown.
    #[command(subcommand)]
    Operations(operations::Command),
    /// Be the server of an MCP client that starts this program, over standard input and output.
    Mcp,
    /// Print a new signing key.
    Keygen,
}

/// Runs the command line of this process.
pub(super) async fn run(app: App) -> ExitCode {
    let command = match CommandLine::try_parse() {
        Ok(line) => line.command,
        Err(error) => {
            // Printing fails only where nobody reads; the exit code tells the rest.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let done = match command {
        Command::Serve => match log::install() {
            Ok(()) => serve::run(app).await,
            Err(refused) => {
                let of_app = app.check().err();
                let problems = [Some(refused), of_app].into_iter().flatten();
                let all = problems.flat_map(StartError::into_problems).collect();
                Err(StartError::new(all).to_string())
            }
        },
        Command::Dev => match log::install() {
            Ok(()) => dev::run(app).await,
            Err(refused) => Err(refused.to_string()),
        },
        Command::Manifest(arguments) => manifest::run(&app, &arguments),
        Command::Lint(arguments) => lint::run(&app, &arguments),
        Command::Endpoints => endpoints::run(&app),
        Command::Call(arguments) => call::run(&app, arguments).await,
        Command::Operations(command) => operations::run(&app, command).await,
        Command::Mcp => match log::install() {
            #[cfg(feature = "mcp")]
            Ok(()) => mcp::run(app).await,
            #[cfg(not(feature = "mcp"))]
            Ok(()) => mcp::run(app),
            Err(refused) => Err(refused.to_string()),
        },
        Command::Keygen => keygen::run(),
    };
    done.unwrap_or_else(|message| {
        eprintln!("{message}");
        ExitCode::FAILURE
    })
}

/// What a subcommand comes to: an exit code, or a message for the person who ran it.
type Done = Result<ExitCode, String>;

/// The settings, where every one that is set is text.
fn settings(app: &App) -> Result<Config, String> {
    let config = app.settings();
    let problem = config.unreadable().next();
    problem.map_or(Ok(config), |problem| Err(said(problem)))
}

/// A problem, for the person at the command line.
#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
fn said(problem: StartProblem) -> String {
    problem.to_string()
}

/// Refuses where there are problems, each on a line of its own.
fn refused(problems: &[StartProblem]) -> Result<(), String> {
    if problems.is_empty() {
        Ok(())
    } else {
        Err(lines(problems))
    }
}

fn lines(problems: &[StartProblem]) -> String {
    let lines: Vec<String> = problems.iter().map(StartProblem::to_string).collect();
    lines.join("\n")
}

/// Prints to standard output; a reader that has gone (`| head`) is no error.
fn print(text: &str) -> Done {
    use std::io::Write as _;
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(format!("Nothing could be printed: {error}."))
        }
        Ok(()) | Err(_) => Ok(ExitCode::SUCCESS),
    }
}

/// What `--help` begins with: what this program is, whose functions are not told here.
fn about() -> String {
    let called = std::env::args_os().next().map(PathBuf::from);
    let name = called.as_deref().and_then(Path::file_stem).map(OsStr::to_string_lossy);
    format!(
        "{}: endpoints that an AI support agent calls; `endpoints` lists them.",
        name.as_deref().unwrap_or("This program")
    )
}

/// How this program is called, so that a printed command can be pasted.
fn program() -> String {
    match std::env::var("CARGO_PKG_NAME") {
        Ok(package) => format!("cargo run -q -p {package} --"),
        Err(_) => std::env::args().next().unwrap_or_else(|| "program".to_owned()),
    }
}
