//! The program's command line, with one file for each subcommand.

mod audit;
mod call;
mod caller;
mod dev;
mod endpoints;
mod key_file;
mod keygen;
mod lint;
mod manifest;
mod mcp;
mod migrate;
mod operations;
mod serve;
mod simulate;
mod trigger;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use super::{App, Config, StartError, StartProblem, log, program_name};

#[derive(Debug, Parser)]
#[command(about = about(), disable_help_subcommand = true)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the agent with settings from the environment, until SIGTERM or Ctrl-C.
    Serve,
    /// Serve on this machine with a generated key, to try the endpoints.
    Dev,
    /// Print the manifest, which describes the endpoints to the agent.
    Manifest(manifest::Arguments),
    /// Report the parts of the descriptions that mislead an agent.
    Lint(lint::Arguments),
    /// List the endpoints.
    Endpoints,
    /// Call an endpoint with a signed request, as the agent does.
    Call(call::Arguments),
    /// Call endpoints as the agent does, with its retries and with mistakes made on purpose, and judge the answers.
    Simulate(simulate::Arguments),
    /// Send a sample of an event, as the agent does.
    Trigger(trigger::Arguments),
    /// Look up operations in the store, and settle those whose outcome is unknown.
    #[command(subcommand)]
    Operations(operations::Command),
    /// Print what was done, from the audit.
    Audit(audit::Arguments),
    /// Create or upgrade the tables of the store and of the program.
    Migrate(migrate::Arguments),
    /// Serve an MCP client that starts this program, over standard input and output.
    Mcp,
    /// Print a new signing key.
    Keygen,
}

/// Runs the command line of this process.
pub(super) async fn run(app: App) -> ExitCode {
    let command = match CommandLine::try_parse() {
        Ok(line) => line.command,
        Err(error) => {
            // Printing fails only if nobody reads the output; the exit code still reports the error.
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
        Command::Simulate(arguments) => simulate::run(&app, arguments).await,
        Command::Trigger(arguments) => trigger::run(&app, arguments).await,
        Command::Operations(command) => operations::run(&app, command).await,
        Command::Audit(arguments) => audit::run(&app, arguments).await,
        Command::Migrate(arguments) => migrate::run(&app, &arguments).await,
        Command::Mcp => match log::install() {
            #[cfg(feature = "mcp")]
            Ok(()) => mcp::run(app).await,
            #[cfg(not(feature = "mcp"))]
            Ok(()) => mcp::run(app),
            Err(refused) => Err(refused.to_string()),
        },
        Command::Keygen => keygen::run(),
    };
    log::flush();
    done.unwrap_or_else(|message| {
        say(&message);
        ExitCode::FAILURE
    })
}

/// The result of a subcommand: an exit code, or a message for the person who ran it.
type Done = Result<ExitCode, String>;

/// The app's settings; an error if a set environment variable is not UTF-8.
fn settings(app: &App) -> Result<Config, String> {
    let config = app.settings();
    let problem = config.unreadable().next();
    problem.map_or(Ok(config), |problem| Err(said(problem)))
}

/// The problem's text.
#[expect(clippy::needless_pass_by_value, reason = "`map_err` passes the problem by value")]
fn said(problem: StartProblem) -> String {
    problem.to_string()
}

/// Returns an error if there are problems. The error has one line for each problem.
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

/// Prints a message to standard error. A write error is ignored, because there is nowhere else to report it.
fn say(message: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr(), "{message}");
}

/// Prints to standard output. A closed pipe (`| head`) is not an error.
fn print(text: &str) -> Done {
    use std::io::Write as _;
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(format!("The output cannot be written to standard output: {error}."))
        }
        Ok(()) | Err(_) => Ok(ExitCode::SUCCESS),
    }
}

/// The first line of `--help`: the name and purpose of this program.
fn about() -> String {
    format!(
        "{}: endpoints for an AI support agent; the command `endpoints` lists them.",
        program_name()
    )
}

/// The command that starts this program, so that printed commands can be pasted into a shell.
fn program() -> String {
    match std::env::var("CARGO_PKG_NAME") {
        Ok(package) => format!("cargo run -q -p {package} --"),
        Err(_) => std::env::args().next().unwrap_or_else(|| "program".to_owned()),
    }
}
