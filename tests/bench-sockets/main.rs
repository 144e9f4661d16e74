//! Measures calls over sockets against a bare axum handler: `cargo bench -p tests --bench sockets`. The README.md beside
//! this file explains the table.

#![allow(clippy::unwrap_used, reason = "a failed unwrap ends the benchmark")]
#![allow(
    missing_docs,
    clippy::cast_precision_loss,
    reason = "not a library; the counts are small enough for f64"
)]

mod callers;
mod endpoints;
mod machine;
mod requests;
mod servers;
mod thousand;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use tokio::net::TcpStream;

use callers::{CALLERS, Callers, Round};
use requests::Asks;
use servers::{Kind, Server};

/// The number of connections that are open and idle beside the callers of one row.
const IDLE: u64 = 10_000;
/// Descriptors that are not for idle connections.
const OTHER_DESCRIPTORS: u64 = 1_000;

/// How long the benchmark takes.
#[derive(Debug, Clone, Copy)]
struct Length {
    rounds: usize,
    /// The number of requests of each caller in a round, for requests of about 190 bytes.
    each: usize,
}

const FULL: Length = Length { rounds: 15, each: 500 };
const QUICK: Length = Length { rounds: 3, each: 100 };

/// `[PART OF A ROW'S NAME] [--quick] [--before PROGRAM]`
struct Arguments {
    length: Length,
    only: String,
    /// This benchmark built from another version, whose servers are measured beside those of this version.
    before: Option<PathBuf>,
}

impl Arguments {
    fn read() -> Self {
        let mut read = Self {
            length: FULL,
            only: String::new(),
            before: None,
        };
        let mut given = std::env::args().skip(1);
        while let Some(argument) = given.next() {
            match argument.as_str() {
                "--quick" => read.length = QUICK,
                "--before" => read.before = Some(given.next().expect("--before PROGRAM").into()),
                // cargo adds it.
                "--bench" => {}
                _ => read.only = argument,
            }
        }
        read
    }
}

/// One row of the table.
struct Row {
    name: String,
    /// The index in `servers`.
    server: usize,
    /// The row of the bare server with the same requests.
    against: usize,
    callers: Callers,
    each: usize,
    rounds: Vec<Measured>,
}

struct Measured {
    round: Round,
    processor: Duration,
}

/// The servers, the rows, and the idle connections, which are closed when they are dropped.
struct Table {
    servers: Vec<Server>,
    rows: Vec<Row>,
    _idle: Vec<TcpStream>,
}

impl Table {
    async fn prepare(Arguments { length, only, before }: &Arguments) -> Self {
        const SERVERS: [Kind; 7] = [
            Kind::Bare,
            Kind::Checked,
            Kind::Cached,
            Kind::Ours,
            Kind::Logged,
            Kind::Thousand,
            // With the idle connections.
            Kind::Ours,
        ];
        let mut servers = Vec::new();
        let program = std::env::current_exe().unwrap();
        for kind in SERVERS {
            servers.push(Server::start(kind, &program).await);
        }
        let idle = idle(&servers[6]).await;
        let beside = format!("ours, first call, {} idle connections beside", idle.len());
        let (small, large) = (Asks::Text(16 * 1024), Asks::Text(256 * 1024));
        let rows: [(&str, usize, usize, &'static str, Asks); 17] = [
            ("bare, POST of 190 bytes", 0, 0, "/order", Asks::Order),
            ("a check by hand", 1, 0, "/order", Asks::Order),
            ("that and a cache, first call", 2, 0, "/order", Asks::Order),
            ("that and a cache, replay", 2, 0, "/order", Asks::Replay),
            ("ours, first call", 3, 0, "/order", Asks::Order),
            ("ours, replay", 3, 0, "/order", Asks::Replay),
            ("ours, read only", 3, 0, "/read", Asks::Read),
            ("a program with its log, first call", 4, 0, "/order", Asks::Order),
            ("a program with its log, replay", 4, 0, "/order", Asks::Replay),
            ("ours, first call, 1,000 endpoints more", 5, 0, "/order", Asks::Order),
            (&beside, 6, 0, "/order", Asks::Order),
            ("bare, GET", 0, 11, "/search", Asks::Search),
            ("ours, GET", 3, 11, "/search", Asks::Search),
            ("bare, POST of 16 KiB", 0, 13, "/text", small),
            ("ours, first call of 16 KiB", 3, 13, "/text", small),
            ("bare, POST of 256 KiB", 0, 15, "/text", large),
            ("ours, first call of 256 KiB", 3, 15, "/text", large),
        ];
        let mut table = Self {
            servers,
            rows: Vec::new(),
            _idle: idle,
        };
        for (index, (name, server, against, path, asks)) in rows.into_iter().enumerate() {
            // A row that others are compared with is always measured.
            if index == against || name.contains(only) {
                let bare = table.rows.iter().position(|row| row.name == rows[against].0);
                let against = bare.unwrap_or(table.rows.len());
                table.add(name.to_owned(), server, against, (path, asks), *length).await;
                let is_ours = SERVERS[..6]
                    .get(server)
                    .is_some_and(|kind| matches!(kind, Kind::Ours | Kind::Logged));
                if let (Some(before), true) = (before, is_ours) {
                    table.servers.push(Server::start(SERVERS[server], before).await);
                    let server = table.servers.len() - 1;
                    table
                        .add(
                            format!("the version before: {name}"),
                            server,
                            against,
                            (path, asks),
                            *length,
                        )
                        .await;
                }
            }
        }
        table
    }

    async fn add(
        &mut self,
        name: String,
        server: usize,
        against: usize,
        (path, asks): (&'static str, Asks),
        length: Length,
    ) {
        let each = match asks {
            Asks::Text(bytes) => (length.each * 1024 / bytes).max(2),
            _ => length.each,
        };
        let callers = Callers::connect(self.servers[server].address, path, asks).await;
        self.rows.push(Row {
            name,
            server,
            against,
            callers,
            each,
            rounds: Vec::new(),
        });
    }

    /// Measures every row once.
    async fn measure(&mut self) {
        for row in &mut self.rows {
            let server = &self.servers[row.server];
            let requests = row.callers.requests(row.each);
            let before = server.processor();
            let round = row.callers.send(requests).await;
            let processor = server.processor() - before;
            row.rounds.push(Measured { round, processor });
        }
    }

    fn show(&self) {
        println!(
            "\n| | requests a second | ÷ bare | processor, µs | ÷ bare | p50, µs | p99, µs | ÷ bare | p99.9, µs |\n|---|---|---|---|---|---|---|---|---|"
        );
        for row in &self.rows {
            let bare = &self.rows[row.against];
            println!(
                "| {} | {:.0} | {:.2} | {:.1} | {:.2} | {:.0} | {:.0} | {:.2} | {} |",
                row.name,
                row.median(Measured::rate),
                row.to(bare, Measured::rate),
                row.median(Measured::processor),
                row.to(bare, Measured::processor),
                row.median(|round| round.at(500)),
                row.median(|round| round.at(990)),
                row.to(bare, |round| round.at(990)),
                row.slowest(),
            );
        }
    }
}

impl Row {
    fn median(&self, of: impl Fn(&Measured) -> f64) -> f64 {
        median(self.rounds.iter().map(of))
    }

    /// The time within which 999 of 1,000 requests were answered, if a round has as many.
    fn slowest(&self) -> String {
        if self.rounds.iter().any(|round| round.round.times.len() < 1000) {
            return "–".to_owned();
        }
        format!("{:.0}", self.median(|round| round.at(999)))
    }

    /// The median of the ratios within each round.
    fn to(&self, other: &Self, of: impl Fn(&Measured) -> f64) -> f64 {
        let rounds = self.rounds.iter().zip(&other.rounds);
        median(rounds.map(|(own, other)| of(own) / of(other)))
    }
}

impl Measured {
    fn rate(&self) -> f64 {
        self.round.times.len() as f64 / self.round.took.as_secs_f64()
    }

    /// Microseconds of the server's processor for each request.
    fn processor(&self) -> f64 {
        self.processor.as_secs_f64() * 1e6 / self.round.times.len() as f64
    }

    /// The time in microseconds within which so many thousandths of the requests were answered.
    fn at(&self, thousandths: usize) -> f64 {
        let times = &self.round.times;
        times[(times.len() - 1) * thousandths / 1000].as_secs_f64() * 1e6
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Opens connections that nobody uses, as many as the limit of descriptors allows.
async fn idle(server: &Server) -> Vec<TcpStream> {
    let room = machine::raise_descriptors().saturating_sub(OTHER_DESCRIPTORS);
    let mut idle = Vec::new();
    for _ in 0..IDLE.min(room) {
        idle.push(TcpStream::connect(server.address).await.unwrap());
    }
    if room < IDLE {
        println!("only {room} idle connections: the limit of file descriptors allows no more");
    }
    idle
}

fn main() -> ExitCode {
    if let Some(ended) = servers::serve() {
        return ended;
    }
    let arguments = Arguments::read();
    match machine::cores() {
        1 => println!("one processor for the server and the callers"),
        _ => println!("one processor for the server, one for {CALLERS} callers"),
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut table = Table::prepare(&arguments).await;
        machine::use_core(1);
        // The first round fills caches and buffers.
        table.measure().await;
        table.rows.iter_mut().for_each(|row| row.rounds.clear());
        for _ in 0..arguments.length.rounds {
            table.measure().await;
        }
        for row in &mut table.rows {
            row.rounds
                .iter_mut()
                .for_each(|measured| measured.round.times.sort_unstable());
        }
        table.show();
    });
    ExitCode::SUCCESS
}
