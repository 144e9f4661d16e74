//! Measures how long a program with many endpoints takes to compile, compared with the same program in other frameworks.
//!
//! `cargo run -p tests --example compile-time -- [ENDPOINTS,…] [ROUNDS] [build]` writes each program into a temporary
//! folder and checks its dependencies. Then it measures all programs in each round, so that other load affects all
//! programs equally. It prints the table of `operator-macros/README.md`: the medians of the times, and of their ratios
//! to plain axum with serde in the same round. With `build` as the last argument it also measures debug builds of the
//! smallest program.

#![allow(clippy::unwrap_used, reason = "a failed unwrap ends the measurement")]

mod frameworks;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use frameworks::{FRAMEWORKS, Framework};

/// The number of endpoints in one module.
const MODULE: usize = 25;

/// One generated program.
struct Program {
    framework: &'static Framework,
    endpoints: usize,
    folder: PathBuf,
    target: PathBuf,
}

/// What is timed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Measure {
    CheckAfterTouch,
    CleanCheck,
    CleanBuild,
}

impl Measure {
    fn words(self) -> &'static str {
        match self {
            Self::CheckAfterTouch => "check after a touch",
            Self::CleanCheck => "check of the program",
            Self::CleanBuild => "debug build of the program",
        }
    }
}

/// The times of all frameworks for one measure and one number of endpoints.
struct Column {
    head: String,
    /// The times of each framework, in the order of the frameworks.
    times: Vec<Vec<Duration>>,
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let sizes = arguments.first().map_or("50,200", String::as_str);
    let sizes: Vec<usize> = sizes.split(',').map(|size| size.parse().unwrap()).collect();
    let rounds: usize = arguments.get(1).map_or(5, |rounds| rounds.parse().unwrap());
    let mut measures = vec![Measure::CheckAfterTouch, Measure::CleanCheck];
    if arguments.last().is_some_and(|last| last == "build") {
        measures.push(Measure::CleanBuild);
    }
    let folder = tempfile::tempdir().unwrap();
    let programs: Vec<Program> = FRAMEWORKS
        .iter()
        .flat_map(|framework| sizes.iter().map(move |size| (framework, *size)))
        .map(|(framework, size)| Program::write(folder.path(), framework, size))
        .collect();
    for program in &programs {
        eprintln!(
            "dependencies of {}, {} endpoints",
            program.framework.name, program.endpoints
        );
        program.run("check");
        if measures.contains(&Measure::CleanBuild) && program.endpoints == sizes[0] {
            program.run("build");
        }
    }
    let mut columns = Vec::new();
    for measure in measures {
        let measured = if measure == Measure::CleanBuild {
            &sizes[..1]
        } else {
            &sizes
        };
        for size in measured {
            eprintln!("{} of {size} endpoints", measure.words());
            columns.push(Column::measure(&programs, measure, *size, rounds));
        }
    }
    print(&columns);
}

impl Column {
    /// Measures all programs of this size once in each round.
    fn measure(programs: &[Program], measure: Measure, size: usize, rounds: usize) -> Self {
        let sized: Vec<&Program> = programs.iter().filter(|program| program.endpoints == size).collect();
        let mut times = vec![Vec::new(); sized.len()];
        for round in 0..rounds {
            for (program, times) in sized.iter().zip(&mut times) {
                times.push(program.measure(measure, round));
            }
        }
        Self {
            head: format!("{}, {size}", measure.words()),
            times,
        }
    }

    /// The median of a framework's times, and the median of their ratios to the times of the first framework.
    fn cell(&self, framework: usize) -> String {
        let (times, plain) = (seconds(&self.times[framework]), seconds(&self.times[0]));
        let ratios = times.iter().zip(&plain).map(|(own, plain)| own / plain).collect();
        format!("{:.2} s · {:.2}", median(times), median(ratios))
    }
}

fn print(columns: &[Column]) {
    let heads: Vec<&str> = columns.iter().map(|column| column.head.as_str()).collect();
    println!("| | {} |", heads.join(" | "));
    println!("|---|{}", "---:|".repeat(columns.len()));
    for (index, framework) in FRAMEWORKS.iter().enumerate() {
        let cells: Vec<String> = columns.iter().map(|column| column.cell(index)).collect();
        println!("| {} | {} |", framework.name, cells.join(" | "));
    }
}

fn seconds(times: &[Duration]) -> Vec<f64> {
    times.iter().map(Duration::as_secs_f64).collect()
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

impl Program {
    fn write(folder: &Path, framework: &'static Framework, endpoints: usize) -> Self {
        let short: String = framework.name.chars().filter(char::is_ascii_alphanumeric).collect();
        let program = Self {
            framework,
            endpoints,
            folder: folder.join(format!("{short}-{endpoints}")),
            target: folder.join(format!("{short}-target")),
        };
        let source = program.folder.join("src");
        fs::create_dir_all(&source).unwrap();
        let runtime = concat!(env!("CARGO_MANIFEST_DIR"), "/../operator-runtime");
        let dependencies = framework.dependencies.replace("{runtime}", runtime);
        let manifest = format!(
            "[package]\nname = \"{}\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[workspace]\n\n[dependencies]\n{dependencies}\n",
            program.package()
        );
        fs::write(program.folder.join("Cargo.toml"), manifest).unwrap();
        let numbers: Vec<usize> = (0..endpoints).collect();
        let (mut root, mut merges) = (String::new(), String::new());
        for (number, module) in numbers.chunks(MODULE).enumerate() {
            fs::write(source.join(format!("module_{number}.rs")), program.module(module)).unwrap();
            writeln!(root, "pub mod module_{number};").unwrap();
            merges += &framework.merge.replace('%', &number.to_string());
        }
        fs::write(
            source.join("lib.rs"),
            root + "\n" + &framework.root.replace('$', &merges),
        )
        .unwrap();
        program
    }

    fn package(&self) -> String {
        format!("app-{}", self.endpoints)
    }

    fn module(&self, numbers: &[usize]) -> String {
        let Framework {
            module,
            endpoint,
            register: (before, after),
            registration,
            ..
        } = self.framework;
        let each = |text: &str| -> String {
            numbers
                .iter()
                .map(|number| text.replace('@', &number.to_string()))
                .collect()
        };
        format!("{module}{}\n{before}{}{after}", each(endpoint), each(registration))
    }

    fn measure(&self, measure: Measure, round: usize) -> Duration {
        match measure {
            Measure::CheckAfterTouch => self.touch(round),
            Measure::CleanCheck | Measure::CleanBuild => self.run(&format!("clean -p {}", self.package())),
        }
        let start = Instant::now();
        self.run(if measure == Measure::CleanBuild {
            "build"
        } else {
            "check"
        });
        start.elapsed()
    }

    /// Changes the body of the first handler, as a person who edits it would.
    fn touch(&self, round: usize) {
        let path = self.folder.join("src/module_0.rs");
        let text = fs::read_to_string(&path).unwrap();
        let (before, after) = text.split_once("unwrap_or(").unwrap();
        let (_, after) = after.split_once(')').unwrap();
        fs::write(path, format!("{before}unwrap_or({}){after}", 10 + round % 90)).unwrap();
    }

    fn run(&self, command: &str) {
        let output = Command::new(env!("CARGO"))
            .args(command.split(' '))
            .current_dir(&self.folder)
            .env("CARGO_TARGET_DIR", &self.target)
            .env("CARGO_INCREMENTAL", "1")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let name = self.framework.name;
        assert!(
            output.status.success(),
            "cargo {command} of {name}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}
