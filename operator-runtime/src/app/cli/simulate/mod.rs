//! `simulate`: calls endpoints as the agent does, with its retries, and with mistakes made on purpose, and judges the
//! answers.

mod attempt;
mod counting;
mod exercise;
mod inputs;
mod place;
mod promises;
mod report;
mod request;
mod subjects;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use self::attempt::Sender;
use self::inputs::Made;
use self::place::{Place, Reached};
use self::report::Tried;
use self::request::{Operation, Signing};
use self::subjects::Subject;
use super::{Done, caller, manifest, print, say, settings};
use crate::app::{App, Config};
use crate::clock::{Clock as _, SystemClock};
use crate::manifest::contract;
use crate::manifest::model::Model;
use crate::manifest::operator::Manifest;
use crate::protocol::signature::{Keys, generate_secret};

/// The longest simulation: the time in which the agent retries a call.
const LONGEST: Duration = Duration::from_secs(300);

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The endpoint to call [default: every endpoint].
    name: Option<String>,
    /// Its inputs, such as `email=ana@example.com` [default: the examples in its schema, or values made from the schema].
    #[arg(value_name = "INPUT=VALUE")]
    inputs: Vec<String>,
    /// Call the endpoints of this manifest, a file in the format `operator`, instead of this program's.
    #[arg(long, value_name = "FILE", conflicts_with = "url")]
    manifest: Option<PathBuf>,
    #[command(flatten)]
    options: caller::Options,
    /// The longest time that the simulation takes, at most 5m.
    #[arg(long, default_value = "30s", value_name = "TIME", value_parser = duration)]
    duration: Duration,
    /// Make real operations on another machine.
    #[arg(long)]
    yes: bool,
}

fn duration(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(duration) if (Duration::from_secs(1)..=LONGEST).contains(&duration) => Ok(duration),
        Ok(_) => Err("write a time from `1s` to `5m`".to_owned()),
        Err(error) => Err(format!("{error}: write a time such as `30s` or `2m`")),
    }
}

/// An endpoint and its inputs, or the reason why there are none.
type Planned = (Subject, Result<Made, String>);

pub(super) async fn run(app: &App, arguments: Arguments) -> Done {
    let config = settings(app)?;
    let manifest = match &arguments.manifest {
        Some(path) => read(path)?,
        None => own(app, &config, &arguments.options)?,
    };
    let subjects = subjects::of(&manifest, arguments.options.address()?)?;
    let planned = plan(subjects, arguments.name.as_deref(), &arguments.inputs)?;
    let keys = arguments.options.keys(&config)?;
    let stranger = generate_secret().map_err(|error| error.to_string())?;
    let stranger = Keys::single("The simulation", &stranger).map_err(|error| error.to_string())?;
    let signing = Signing { keys, stranger };
    // The calls are sent from a thread for blocking work, because the HTTP client blocks.
    let simulating =
        tokio::task::spawn_blocking(move || simulate(planned, &signing, arguments.duration, arguments.yes));
    simulating.await.map_err(|error| {
        format!("The simulation was interrupted: {error}. Run it again, and report this message if it happens again.")
    })?
}

/// The manifest in a file.
fn read(path: &Path) -> Result<Manifest, String> {
    let shown = path.display();
    let text = fs::read_to_string(path).map_err(|error| format!("{shown} cannot be read: {error}."))?;
    let manifest = contract::manifest(&text).map_err(|why| {
        format!("{shown} {why}: give a manifest in the format `operator`, as the command `manifest` prints it.")
    })?;
    if manifest.endpoints.is_empty() {
        return Err(format!("{shown} has no endpoint, so there is nothing to call."));
    }
    Ok(manifest)
}

/// The manifest of this program, for the URL that the options name.
fn own(app: &App, config: &Config, options: &caller::Options) -> Result<Manifest, String> {
    let endpoints = manifest::endpoints(app)?;
    if endpoints.is_empty() {
        return Err("This program has no endpoint, so there is nothing to call.".to_owned());
    }
    Ok(Manifest::from(&Model::new(&endpoints, &options.base(config)?)))
}

/// The endpoints to call, each with its inputs.
fn plan(subjects: Vec<Subject>, name: Option<&str>, typed: &[String]) -> Result<Vec<Planned>, String> {
    let Some(name) = name else {
        let plan = |subject: Subject| {
            let made = inputs::make(&subject.name, subject.method, &subject.inputs, &[]);
            (subject, made)
        };
        return Ok(subjects.into_iter().map(plan).collect());
    };
    let names: Vec<&str> = subjects.iter().map(|subject| subject.name.as_str()).collect();
    let unknown = caller::unknown_endpoint(name, &names);
    let subject = subjects
        .into_iter()
        .find(|subject| subject.name == name)
        .ok_or(unknown)?;
    let made = inputs::make(name, subject.method, &subject.inputs, typed)?;
    Ok(vec![(subject, Ok(made))])
}

fn simulate(planned: Vec<Planned>, signing: &Signing, duration: Duration, yes: bool) -> Done {
    let places = find(&planned)?;
    if !yes {
        refuse_other_machines(&planned, &places)?;
    }
    let mut reached = BTreeMap::new();
    for (origin, place) in &places {
        reached.insert(origin.clone(), place.reach()?);
    }
    let clock = SystemClock::new();
    let ends = clock.monotonic().saturating_add(duration);
    let whom = match &planned[..] {
        [(only, _)] => format!("`{}`", only.name),
        several => format!("{} endpoints", several.len()),
    };
    let most = humantime::format_duration(duration);
    say(&format!("Simulating a caller of {whom}, for {most} at most."));
    let mut tried = Vec::new();
    let count = planned.len();
    for (index, (subject, made)) in planned.into_iter().enumerate() {
        let seen = made.and_then(|made| {
            let reached = reached.get(&subject.origin).ok_or("Its host is not known.")?;
            // An endpoint that fails for long leaves time for the others.
            let now = clock.monotonic();
            let left = u32::try_from(count - index).unwrap_or(u32::MAX);
            let share = now.saturating_add(ends.saturating_sub(now) / left);
            try_one(&Sender::new(&clock, share), &subject, reached, &made, signing)
        });
        tried.push(Tried {
            seen,
            name: subject.name,
        });
    }
    let report = report::write(&tried);
    print(&report.text)?;
    Ok(if report.is_kept {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Exercises one endpoint.
fn try_one(
    sender: &Sender<'_>,
    subject: &Subject,
    reached: &Reached,
    made: &Made,
    signing: &Signing,
) -> Result<exercise::Seen, String> {
    let key = request::new_key()?;
    let first = Operation {
        subject,
        reached,
        made,
        signing,
        key: &key,
    };
    exercise::exercise(sender, first)
}

/// The places of all endpoints that are called, by their origins.
fn find(planned: &[Planned]) -> Result<BTreeMap<String, Place>, String> {
    let mut places = BTreeMap::new();
    for (subject, _) in planned.iter().filter(|(_, made)| made.is_ok()) {
        if !places.contains_key(&subject.origin) {
            places.insert(subject.origin.clone(), Place::find(&subject.origin)?);
        }
    }
    Ok(places)
}

/// Refuses operations that change something on another machine.
fn refuse_other_machines(planned: &[Planned], places: &BTreeMap<String, Place>) -> Result<(), String> {
    let elsewhere = |subject: &Subject| places.get(&subject.origin).filter(|place| !place.is_this_machine());
    let changing: Vec<(&str, &Place)> = planned
        .iter()
        .filter(|(subject, made)| subject.changes && made.is_ok())
        .filter_map(|(subject, _)| Some((subject.name.as_str(), elsewhere(subject)?)))
        .collect();
    let Some((_, place)) = changing.first() else {
        return Ok(());
    };
    let names: Vec<String> = changing.iter().map(|(name, _)| format!("`{name}`")).collect();
    Err(format!(
        "{} may be another machine, and a simulation of {} changes something there: add `--yes` to make real operations, or name an endpoint that only reads. Nothing was sent.",
        place.shown(),
        names.join(", ")
    ))
}
