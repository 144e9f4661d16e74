//! Many callers that retry while their server is killed again and again: the program, at random moments and at each
//! fail point, or the program's store, which another server may then replace.

use std::collections::{HashSet, VecDeque};
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tests::caller::post;
use tests::process::Server;

use crate::calm::{Calm, Told};

pub(crate) const CALLERS: usize = 12;
/// The time limit of everything.
const PATIENCE: Duration = Duration::from_secs(120);
/// How soon after a promotion calls must be answered again.
const SOON: Duration = Duration::from_secs(15);
/// Every second kill comes at a random moment, without a fail point.
pub(crate) const POINTS: &[&str] = &["after-claim", "before-commit", "after-commit", "before-answer"];

/// The operations of the storm.
pub(crate) struct Storm<'s> {
    pub(crate) program: &'s Path,
    pub(crate) folder: &'s Path,
    pub(crate) environment: &'s [(&'s str, &'s str)],
    /// How many processes share the store; callers send each attempt to any of them.
    pub(crate) servers: usize,
    pub(crate) callers: usize,
    /// The fail points at which the program is killed.
    pub(crate) points: &'s [&'static str],
    pub(crate) path: &'s str,
    /// The inputs that belong to a key.
    pub(crate) body: fn(&str) -> String,
}

/// The state that callers and killer share.
pub(crate) struct Shared {
    ports: Vec<AtomicU16>,
    answered: AtomicUsize,
    /// The keys of the operations that were begun and not answered yet.
    open: Mutex<HashSet<String>>,
    stop: AtomicBool,
}

impl<'s> Storm<'s> {
    /// A storm of twelve callers, which send no inputs to this path of one process.
    pub(crate) fn of(
        program: &'s Path,
        folder: &'s Path,
        environment: &'s [(&'s str, &'s str)],
        path: &'s str,
    ) -> Self {
        Self {
            program,
            folder,
            environment,
            servers: 1,
            callers: CALLERS,
            points: POINTS,
            path,
            body: |_| "{}".to_owned(),
        }
    }
}

impl Storm<'_> {
    /// Kills the program, or one of its processes after the other, and starts it again. Every operation that was begun
    /// is retried until it is answered, so that none is open at the end.
    pub(crate) fn kill_programs(&self, kills: usize) -> Calm {
        self.run(kills, true, |servers, shared| {
            for kill in 0..kills {
                let number = self.victim_of(kill);
                self.die(&mut servers[number], kill, shared);
                servers[number] = self.start(number, kill + 1, kills);
                shared.ports[number].store(servers[number].port, Ordering::Release);
            }
        })
    }

    /// Like [`kill_programs`](Self::kill_programs), but the store's server is stopped and started again.
    pub(crate) fn kill_store(&self, kills: usize, mut set: impl FnMut(bool)) -> Calm {
        self.run(kills, false, |_, shared| {
            for _ in 0..kills {
                shared.wait_until_busy();
                set(false);
                // Long enough for calls to find the store unavailable.
                std::thread::sleep(Duration::from_millis(200));
                set(true);
            }
        })
    }

    /// Lets the store's server fail again and again. `fail` returns once another server has become the primary, and
    /// `mend` makes that server ready to fail next.
    pub(crate) fn fail_over(&self, times: usize, mut fail: impl FnMut(usize), mut mend: impl FnMut(usize)) -> Calm {
        let mut slowest = Duration::ZERO;
        let calm = self.run(times, false, |_, shared| {
            for time in 0..times {
                shared.wait_until_busy();
                let begun = shared.open_keys();
                fail(time);
                let promoted = Instant::now();
                // Calls that were under way, and new ones.
                shared.wait_until_answered(&begun);
                shared.wait_for_answers(self.callers);
                slowest = slowest.max(promoted.elapsed());
                mend(time);
            }
        });
        assert!(slowest <= SOON, "calls were answered {slowest:?} after a promotion");
        let harm = format!("{times} failovers, each <= {:.1} s", slowest.as_secs_f32());
        Calm { harm, ..calm }
    }

    fn run(&self, kills: usize, armed: bool, harm: impl FnOnce(&mut [Server], &Shared)) -> Calm {
        let begin = |number| self.start(number, 0, if armed { kills } else { 0 });
        let mut servers: Vec<_> = (0..self.servers).map(begin).collect();
        let shared = Shared {
            ports: servers.iter().map(|server| AtomicU16::new(server.port)).collect(),
            answered: AtomicUsize::new(0),
            open: Mutex::default(),
            stop: AtomicBool::new(false),
        };
        let told = std::thread::scope(|scope| {
            let callers: Vec<_> = (0..self.callers)
                .map(|caller| {
                    let shared = &shared;
                    scope.spawn(move || self.call_until_stopped(caller, shared))
                })
                .collect();
            let stopping = StopOnDrop(&shared.stop);
            harm(&mut servers, &shared);
            drop(stopping);
            callers.into_iter().flat_map(|caller| caller.join().unwrap()).collect()
        });
        let harm = format!("{kills} kills");
        Calm { told, servers, harm }
    }

    /// Each process in turn is killed at a random moment, and then at a fail point.
    fn victim_of(&self, kill: usize) -> usize {
        kill / 2 % self.servers
    }

    /// Arms the next fail point, if the next kill is at a fail point.
    fn start(&self, number: usize, kill: usize, kills: usize) -> Server {
        let next = (kill..kills).find(|kill| self.victim_of(*kill) == number);
        let armed = next
            .and_then(|kill| self.point_of(kill))
            .map(|point| format!("{point}:{}", 1 + random(30)));
        let mut environment = self.environment.to_vec();
        environment.extend(armed.as_deref().map(|armed| ("OPERATOR_FAIL_POINT", armed)));
        Server::start_with(self.program, self.folder, &environment)
    }

    fn call_until_stopped(&self, caller: usize, shared: &Shared) -> Vec<(String, Told)> {
        let mut told = Vec::new();
        let mut open: VecDeque<(Instant, String)> = VecDeque::new();
        let mut begun = 0;
        let mut last_answer = Instant::now();
        loop {
            let is_due = open.front().is_some_and(|(due, _)| *due <= Instant::now());
            let is_stopped = shared.stop.load(Ordering::Acquire);
            let key = match open.pop_front() {
                Some((_, key)) if is_due => key,
                Some(later) if is_stopped => {
                    std::thread::sleep(later.0.saturating_duration_since(Instant::now()));
                    later.1
                }
                None if is_stopped => return told,
                later => {
                    open.extend(later);
                    begun += 1;
                    let key = format!("caller-{caller}-{begun}");
                    shared.open.lock().unwrap().insert(key.clone());
                    key
                }
            };
            assert!(last_answer.elapsed() < PATIENCE, "{key} is never answered");
            match self.attempt(shared.any_port(), &key) {
                Ok(answer) => {
                    last_answer = Instant::now();
                    shared.answered.fetch_add(1, Ordering::AcqRel);
                    shared.open.lock().unwrap().remove(&key);
                    told.push((key, answer));
                }
                Err(pause) => {
                    open.push_back((Instant::now() + pause, key));
                    // Every caller waits if there is no server.
                    std::thread::sleep(Duration::from_millis(5));
                }
            }
        }
    }

    /// Sends one attempt; if the answer is not final, returns how long to wait.
    pub(crate) fn attempt(&self, port: u16, key: &str) -> Result<Told, Duration> {
        match post(port, self.path, key, &(self.body)(key)) {
            Ok(answer) if answer.status == 200 => Ok(Told::Done(answer.json())),
            Ok(answer) if answer.json()["type"] == "urn:operator:problem:outcome-unknown" => Ok(Told::Unknown),
            Ok(answer) if [403, 404].contains(&answer.status) => Ok(Told::Refused(answer.json())),
            Ok(answer) => {
                assert!([409, 503].contains(&answer.status), "{key}: {}", answer.body);
                Err(Duration::from_secs(1))
            }
            Err(_) => Err(Duration::from_millis(5)),
        }
    }

    /// Kills the server in the middle of its work.
    fn die(&self, server: &mut Server, kill: usize, shared: &Shared) {
        let deadline = Instant::now() + PATIENCE;
        if self.point_of(kill).is_some() {
            while !server.has_ended() {
                assert!(
                    Instant::now() < deadline,
                    "the fail point of kill {kill} is never passed"
                );
                std::thread::sleep(Duration::from_millis(1));
            }
            return;
        }
        shared.wait_until_busy();
        server.kill();
    }

    fn point_of(&self, kill: usize) -> Option<&'static str> {
        (kill % 2 == 1).then(|| self.points[kill / 2 % self.points.len()])
    }
}

/// Stops the callers even if a server cannot be started, so that the test fails and does not run for ever.
struct StopOnDrop<'s>(&'s AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

impl Shared {
    fn any_port(&self) -> u16 {
        let number = usize::try_from(random(self.ports.len() as u64)).unwrap();
        self.ports[number].load(Ordering::Acquire)
    }

    /// Waits until some more calls have been answered and others are under way.
    fn wait_until_busy(&self) {
        self.wait_for_answers(5 + usize::try_from(random(10)).unwrap());
        std::thread::sleep(Duration::from_micros(random(3_000)));
    }

    fn open_keys(&self) -> HashSet<String> {
        self.open.lock().unwrap().clone()
    }

    fn wait_until_answered(&self, keys: &HashSet<String>) {
        let deadline = Instant::now() + PATIENCE;
        while !self.open.lock().unwrap().is_disjoint(keys) {
            assert!(Instant::now() < deadline, "some of {keys:?} are never answered");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn wait_for_answers(&self, more: usize) {
        let deadline = Instant::now() + PATIENCE;
        let target = self.answered.load(Ordering::Acquire) + more;
        while self.answered.load(Ordering::Acquire) < target {
            assert!(Instant::now() < deadline, "there are no answers any more");
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

fn random(below: u64) -> u64 {
    RandomState::new().build_hasher().finish() % below
}
