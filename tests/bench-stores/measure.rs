//! Runs the contenders in turn, each for a moment, in many rounds. Other load on the machine then affects all of them
//! equally.

use std::time::{Duration, Instant};

use super::Worker;

const ROUNDS: usize = 15;
const WARM: Duration = Duration::from_millis(50);
const MEASURED: Duration = Duration::from_millis(200);
/// How many units of processor time in Linux's `/proc` are one second.
const TICKS_A_SECOND: f64 = 100.0;

/// The measurements of one contender.
#[derive(Debug, Clone)]
pub(crate) struct Figures {
    /// Operations per second in each round.
    rates: Vec<f64>,
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
    /// Processor time of this process per operation. It includes the callers and HTTP, but not other servers.
    pub(crate) processor: Duration,
}

impl Figures {
    /// Operations per second: the median of the rounds.
    pub(crate) fn rate(&self) -> f64 {
        median(self.rates.iter().copied())
    }

    /// How many times faster this contender was than another in the same round: the median of the rounds.
    pub(crate) fn to(&self, other: &Self) -> f64 {
        median(
            self.rates
                .iter()
                .zip(&other.rates)
                .map(|(one, other)| one / other.max(1.0)),
        )
    }
}

fn median(numbers: impl Iterator<Item = f64>) -> f64 {
    let mut numbers: Vec<_> = numbers.collect();
    numbers.sort_unstable_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

/// Work that runs for a moment and returns how long each of its operations took.
pub(crate) enum Contender {
    /// Every worker runs in a loop, and all run at the same time.
    Workers(Vec<Box<dyn Worker>>),
    /// A loop on its own thread. Each iteration carries out this many operations.
    Thread(usize, Box<dyn FnMut() + Send>),
}

impl Contender {
    pub(crate) fn workers<W: Worker>(workers: impl IntoIterator<Item = W>) -> Self {
        Self::Workers(
            workers
                .into_iter()
                .map(|worker| Box::new(worker) as Box<dyn Worker>)
                .collect(),
        )
    }

    async fn run(self) -> (Self, Vec<Duration>) {
        let begin = Instant::now() + WARM;
        let end = begin + MEASURED;
        match self {
            Self::Workers(workers) => {
                let mut running = tokio::task::JoinSet::new();
                for mut worker in workers {
                    running.spawn(async move {
                        let mut times = Vec::new();
                        loop {
                            let started = Instant::now();
                            if started > end {
                                return (worker, times);
                            }
                            worker.once().await;
                            if started > begin {
                                times.push(started.elapsed());
                            }
                        }
                    });
                }
                let (workers, times): (_, Vec<_>) = running.join_all().await.into_iter().unzip();
                (Self::Workers(workers), times.concat())
            }
            Self::Thread(at_a_time, mut work) => {
                let looping = tokio::task::spawn_blocking(move || {
                    let mut times = Vec::new();
                    loop {
                        let started = Instant::now();
                        if started > end {
                            return (Self::Thread(at_a_time, work), times);
                        }
                        work();
                        if started > begin {
                            times.extend(std::iter::repeat_n(started.elapsed(), at_a_time));
                        }
                    }
                });
                looping.await.unwrap()
            }
        }
    }
}

/// Measures the contenders and returns their figures in the same order.
pub(crate) async fn in_turns<const N: usize>(mut contenders: [Contender; N]) -> [Figures; N] {
    let mut rounds: [Vec<(Vec<Duration>, f64)>; N] = std::array::from_fn(|_| Vec::new());
    for _ in 0..ROUNDS {
        let mut rested = Vec::with_capacity(N);
        for (contender, rounds) in contenders.into_iter().zip(&mut rounds) {
            let before = processor_seconds();
            let (contender, times) = contender.run().await;
            rounds.push((times, processor_seconds() - before));
            rested.push(contender);
        }
        let Ok(again) = rested.try_into() else {
            unreachable!("as many as before")
        };
        contenders = again;
    }
    rounds.map(figures)
}

fn figures(rounds: Vec<(Vec<Duration>, f64)>) -> Figures {
    let seconds = MEASURED.as_secs_f64();
    let rates = rounds.iter().map(|(times, _)| times.len() as f64 / seconds).collect();
    // The warm-up uses processor time too, so its part is subtracted.
    let part = seconds / (MEASURED + WARM).as_secs_f64();
    let processor: f64 = rounds.iter().map(|(_, seconds)| seconds * part).sum();
    let mut times: Vec<_> = rounds.into_iter().flat_map(|(times, _)| times).collect();
    times.sort_unstable();
    Figures {
        rates,
        p50: times[times.len() / 2],
        p99: times[times.len() * 99 / 100],
        processor: Duration::from_secs_f64(processor / times.len() as f64),
    }
}

/// The processor time that this process has used so far, in its own code and in system calls (proc(5): `utime` and
/// `stime`).
fn processor_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields = stat.rsplit_once(')').unwrap().1.split_whitespace();
    let ticks: f64 = fields.skip(11).take(2).map(|ticks| ticks.parse::<f64>().unwrap()).sum();
    ticks / TICKS_A_SECOND
}
