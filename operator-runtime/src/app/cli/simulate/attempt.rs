//! Sends requests: once, until there is an answer, several at the same moment, or without waiting for the answer.

use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use super::request::Request;
use crate::app::cli::caller;
use crate::app::trusted;
use crate::clock::{Clock as _, SystemClock};
use crate::protocol::method::Method;
use crate::protocol::randomness;

/// The pause before the first retry, on average; each further pause is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Sends the requests of a simulation until a deadline.
#[derive(Debug)]
pub(super) struct Sender<'c> {
    agent: ureq::Agent,
    clock: &'c SystemClock,
    /// The deadline by the monotonic clock.
    ends: Duration,
}

/// A request and what came of it.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) request: Request,
    pub(super) answer: Result<Answer, Lost>,
    pub(super) took: Duration,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
    /// The header `Retry-After`, if it is a number of seconds.
    pub(super) retry_after: Option<Duration>,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Lost {
    /// The simulation's time ran out before an answer arrived.
    Late,
    /// The connection failed, or the server did not answer in time.
    Failed(String),
}

impl Exchange {
    pub(super) fn status(&self) -> Option<u16> {
        self.answer.as_ref().ok().map(|answer| answer.status)
    }

    pub(super) fn body(&self) -> &[u8] {
        self.answer.as_ref().map_or(b"", |answer| answer.body.as_slice())
    }

    pub(super) fn is_done(&self) -> bool {
        self.status().is_some_and(|status| (200..300).contains(&status))
    }

    /// Whether the server refused the request as not verified or not well-formed.
    pub(super) fn is_refused(&self) -> bool {
        matches!(self.status(), Some(400 | 401 | 403))
    }

    /// Whether both have an answer, and the answers have the same status and the same bytes.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.status().is_some() && self.status() == other.status() && self.body() == other.body()
    }

    /// Whether the agent sends the call again: there is no answer, or the answer says that another attempt may succeed. A
    /// 409 without `Retry-After` is final.
    pub(super) fn is_unfinished(&self) -> bool {
        match &self.answer {
            Ok(answer) => match answer.status {
                408 | 425 | 429 | 500.. => true,
                409 => answer.retry_after.is_some(),
                _ => false,
            },
            Err(lost) => *lost != Lost::Late,
        }
    }

    /// Whether the server did not look at the request.
    fn is_unread(&self) -> bool {
        match &self.answer {
            Ok(answer) => matches!(answer.status, 429 | 503),
            Err(lost) => *lost != Lost::Late,
        }
    }
}

impl<'c> Sender<'c> {
    pub(super) fn new(clock: &'c SystemClock, ends: Duration) -> Self {
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            // Each attempt has its own connection, so that none depends on an earlier one. Without a proxy, because
            // the addresses that were checked are those of the server.
            .max_idle_connections(0)
            .proxy(None)
            .tls_config(trusted::by_this_system())
            .build()
            .into();
        Self { agent, clock, ends }
    }

    pub(super) fn is_over(&self) -> bool {
        self.clock.monotonic() >= self.ends
    }

    /// Whole seconds since 1970-01-01 UTC.
    pub(super) fn now(&self) -> u64 {
        self.clock.unix_seconds()
    }

    /// Sends a correct call until it is answered, with pauses as the agent makes them. `write` signs each attempt anew.
    pub(super) fn settle(&self, write: impl Fn(u64) -> Request) -> Exchange {
        self.send_until(write, u32::MAX, Exchange::is_unfinished)
    }

    /// Sends a wrong request until the server has looked at it, at most four times.
    pub(super) fn present(&self, write: impl Fn(u64) -> Request) -> Exchange {
        self.send_until(write, 4, Exchange::is_unread)
    }

    fn send_until(
        &self,
        write: impl Fn(u64) -> Request,
        attempts: u32,
        is_unfinished: impl Fn(&Exchange) -> bool,
    ) -> Exchange {
        let mut pause = FIRST_PAUSE;
        let mut attempt = 1;
        loop {
            let exchange = self.send(write(self.now()), None);
            if attempt >= attempts || !is_unfinished(&exchange) {
                return exchange;
            }
            let asked = exchange.answer.as_ref().ok().and_then(|answer| answer.retry_after);
            let wait = jittered(pause).max(asked.unwrap_or_default());
            if self.clock.monotonic().saturating_add(wait) >= self.ends {
                return exchange;
            }
            thread::sleep(wait);
            pause = (pause * 2).min(LONGEST_PAUSE);
            attempt += 1;
        }
    }

    /// Sends the same operation `count` times at the same moment. Each is then retried on its own.
    pub(super) fn settle_at_once(&self, count: usize, write: impl Fn(u64) -> Request + Sync) -> Vec<Exchange> {
        let barrier = Barrier::new(count);
        thread::scope(|scope| {
            let each: Vec<_> = (0..count)
                .map(|_| {
                    scope.spawn(|| {
                        barrier.wait();
                        self.settle(&write)
                    })
                })
                .collect();
            each.into_iter().filter_map(|one| one.join().ok()).collect()
        })
    }

    /// Sends a request and closes the connection after `patience`, if there is no answer until then.
    pub(super) fn hang_up(&self, request: Request, patience: Duration) -> Exchange {
        self.send(request, Some(patience))
    }

    fn send(&self, request: Request, patience: Option<Duration>) -> Exchange {
        let began = self.clock.monotonic();
        let left = self.ends.saturating_sub(began);
        let answer = if left.is_zero() {
            Err(Lost::Late)
        } else {
            self.exchange(&request, left.min(caller::PATIENCE), patience)
                .map_err(|error| {
                    if self.is_over() {
                        Lost::Late
                    } else {
                        Lost::Failed(caller::unanswered(&request.address, &error))
                    }
                })
        };
        let took = self.clock.monotonic().saturating_sub(began);
        Exchange { request, answer, took }
    }

    fn exchange(&self, request: &Request, limit: Duration, patience: Option<Duration>) -> Result<Answer, ureq::Error> {
        let mut head = http::Request::builder()
            .method(request.method.as_str())
            .uri(&request.address)
            .header("Host", &request.host);
        for (name, value) in &request.headers {
            head = head.header(*name, value);
        }
        let response = match request.method {
            Method::Get => self.run(head.body(())?, limit, patience),
            Method::Post => self.run(head.body(request.body.as_bytes())?, limit, patience),
        };
        let mut response = response?;
        let retry_after = response.headers().get("retry-after");
        let retry_after = retry_after.and_then(|value| value.to_str().ok()?.parse().ok());
        Ok(Answer {
            status: response.status().as_u16(),
            retry_after: retry_after.map(Duration::from_secs),
            body: response.body_mut().read_to_vec()?,
        })
    }

    fn run<S: ureq::AsSendBody>(
        &self,
        request: http::Request<S>,
        limit: Duration,
        patience: Option<Duration>,
    ) -> Result<http::Response<ureq::Body>, ureq::Error> {
        let configured = self.agent.configure_request(request).timeout_global(Some(limit));
        self.agent.run(configured.timeout_recv_response(patience).build())
    }
}

/// A pause between half and one and a half times as long, so that many callers do not retry at the same moment.
fn jittered(pause: Duration) -> Duration {
    let mut random = [0; 1];
    // Without random bytes, the pause is the shortest.
    let _ = randomness::fill(&mut random);
    pause.mul_f64(0.5 + f64::from(random[0]) / 255.0)
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader, Write as _};
    use std::net::{TcpListener, TcpStream};
    use std::thread::{self, JoinHandle};
    use std::time::Duration;

    use super::{Exchange, Lost, Request, Sender};
    use crate::clock::SystemClock;

    /// A server that gives these answers, one on each connection, and returns the idempotency key of each request. Empty
    /// text closes the connection without an answer.
    fn server(answers: &[&str]) -> (String, JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let answer = |answer: &str, stream: TcpStream| {
            let mut head = BufReader::new(&stream).lines().map_while(Result::ok);
            let head: Vec<String> = head.by_ref().take_while(|line| !line.is_empty()).collect();
            (&stream).write_all(answer.as_bytes()).unwrap();
            let key = head.iter().find_map(|line| {
                line.to_lowercase()
                    .strip_prefix("x-idempotency-key: ")
                    .map(str::to_owned)
            });
            key.unwrap()
        };
        let answers: Vec<String> = answers.iter().map(|answer| (*answer).to_owned()).collect();
        let serving = thread::spawn(move || {
            let connections = answers.iter().map(|text| answer(text, listener.accept().unwrap().0));
            connections.collect()
        });
        (origin, serving)
    }

    fn settle(origin: &str, limit: Duration) -> Exchange {
        let clock = SystemClock::new();
        Sender::new(&clock, limit).settle(|now| Request::unsigned(origin, now))
    }

    #[test]
    fn a_call_is_repeated_under_one_key_until_it_is_answered() {
        let (origin, serving) = server(&[
            "",
            "HTTP/1.1 409 Conflict\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        ]);
        let exchange = settle(&origin, Duration::from_secs(30));
        assert_eq!((exchange.status(), exchange.body()), (Some(200), b"{}".as_slice()));
        assert_eq!(serving.join().unwrap(), ["key"; 3]);
    }

    #[test]
    fn a_final_answer_is_not_asked_for_again() {
        for answer in [
            "HTTP/1.1 409 Conflict\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 307 Temporary Redirect\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n",
        ] {
            let (origin, serving) = server(&[answer]);
            let exchange = settle(&origin, Duration::from_secs(30));
            assert!(answer.contains(&exchange.status().unwrap().to_string()));
            assert_eq!(serving.join().unwrap().len(), 1);
        }
    }

    #[test]
    fn no_retry_begins_after_the_deadline() {
        let (origin, serving) = server(&["HTTP/1.1 503 Busy\r\nRetry-After: 60\r\nContent-Length: 0\r\n\r\n"]);
        assert_eq!(settle(&origin, Duration::from_secs(30)).status(), Some(503));
        assert_eq!(serving.join().unwrap().len(), 1);
        assert_eq!(settle(&origin, Duration::ZERO).answer, Err(Lost::Late));
    }
}
