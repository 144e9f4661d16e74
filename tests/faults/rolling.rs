//! Two servers behind nginx are restarted one after the other, under load: no attempt of a caller fails. nginx has its
//! defaults, or keeps its connections to servers that also hold thousands of idle connections.

use std::collections::HashSet;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tests::caller::post;
use tests::process::{Server, build_into};
use tests::proof::Row;
use tests::services::{Postgres, free_port};

use crate::programs::lines;

const CALLERS: usize = 8;
/// How often each of the two servers is restarted.
const RESTARTS: usize = 5;

/// The idle connections that are held open at both servers together.
const IDLE: usize = 5_000;
/// The number of files that this process and each server may open: for all idle connections, and a quarter more, because a
/// server uses only three quarters of its files for connections.
const FILES: usize = 16_384;

/// How nginx treats its connections to the servers.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Upstream {
    Defaults,
    KeptAlive,
}

/// An nginx of this test's own, which is ended when this value is dropped.
struct Nginx {
    child: Child,
    port: u16,
}

impl Nginx {
    fn start(folder: &Path, servers: &[Server], kept: Upstream) -> Self {
        let port = free_port();
        let upstream: String = servers
            .iter()
            .map(|server| format!("server 127.0.0.1:{};", server.port))
            .collect();
        let (keeps, passes) = match kept {
            Upstream::Defaults => ("", ""),
            Upstream::KeptAlive => (
                "keepalive 32; keepalive_timeout 60s;",
                "proxy_http_version 1.1; proxy_set_header Connection \"\";",
            ),
        };
        let shown = folder.display();
        let config = format!(
            "daemon off; pid {shown}/nginx.pid; error_log {shown}/nginx.log; worker_processes 1;
            events {{}}
            http {{
                access_log off;
                client_body_temp_path {shown}/body; proxy_temp_path {shown}/proxy; fastcgi_temp_path {shown}/fastcgi;
                uwsgi_temp_path {shown}/uwsgi; scgi_temp_path {shown}/scgi;
                upstream support {{ {upstream} {keeps} }}
                server {{ listen 127.0.0.1:{port}; location / {{ {passes} proxy_pass http://support; }} }}
            }}"
        );
        let file = folder.join("nginx.conf");
        std::fs::File::create(&file)
            .unwrap()
            .write_all(config.as_bytes())
            .unwrap();
        let child = Command::new("nginx")
            .args(["-p", &shown.to_string(), "-e", &format!("{shown}/nginx.log"), "-c"])
            .arg(&file)
            .env(
                "PATH",
                format!("{}:/usr/sbin", std::env::var("PATH").unwrap_or_default()),
            )
            .stdout(Stdio::null())
            .spawn()
            .expect("nginx starts; tests/all installs it");
        let deadline = Instant::now() + Duration::from_secs(30);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < deadline, "nginx does not listen");
            std::thread::sleep(Duration::from_millis(5));
        }
        Self { child, port }
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // SIGTERM, so that nginx also ends its worker.
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}

/// Ends the callers, even after a failed assertion.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The number of charges of a server, which has a folder of its own.
fn charges(folder: &Path) -> usize {
    lines(&folder.join("ledger")).len()
}

/// Connections to a server on which a request was answered, and which then stay open.
fn idle_connections(port: u16, count: usize) -> Vec<TcpStream> {
    let connect = || {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.write_all(b"GET /livez HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
        let mut answer = [0; 15];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(answer, *b"HTTP/1.1 200 OK");
        stream
    };
    std::iter::repeat_with(connect).take(count).collect()
}

/// Raises the limit of open files of this process, which the servers inherit.
fn allow_files() {
    let pid = std::process::id().to_string();
    let raised = Command::new("prlimit")
        .args(["--pid", &pid, &format!("--nofile={FILES}:")])
        .status();
    assert!(
        raised.unwrap().success(),
        "the hard limit of open files is below {FILES}"
    );
}

#[test]
fn no_attempt_fails_while_servers_behind_nginx_are_restarted() {
    no_attempt_fails(Upstream::Defaults, 0, "rolling restarts behind nginx");
}

#[test]
fn no_attempt_fails_if_nginx_keeps_its_connections_and_thousands_are_idle() {
    allow_files();
    no_attempt_fails(Upstream::KeptAlive, IDLE, "rolling restarts, 5000 idle connections");
}

fn no_attempt_fails(kept: Upstream, idle: usize, proof: &str) {
    let postgres = Postgres::start(&[]);
    let folder = tempfile::tempdir().unwrap();
    let program = build_into(folder.path(), "faults-program");
    let folders = ["one", "two"].map(|name| folder.path().join(name));
    let start = |index: usize, listen: &str| {
        std::fs::create_dir_all(&folders[index]).unwrap();
        let url = postgres.url();
        let environment = [
            ("OPERATOR_STORE", url.as_str()),
            ("OPERATOR_STOP_DELAY", "1s"),
            ("OPERATOR_LISTEN", listen),
        ];
        Server::start_with(&program, &folders[index], &environment)
    };
    let mut servers = [0, 1].map(|index| start(index, &format!("127.0.0.1:{}", free_port())));
    let nginx = Nginx::start(folder.path(), &servers, kept);
    let mut held = [0, 1].map(|index: usize| idle_connections(servers[index].port, idle / 2));
    let (is_over, calls, failed) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let over = End(&is_over);
        for caller in 0..CALLERS {
            let (is_over, calls, failed, port) = (&is_over, &calls, &failed, nginx.port);
            scope.spawn(move || {
                for call in 0.. {
                    if is_over.load(Ordering::Relaxed) {
                        return;
                    }
                    let answer = post(port, "/charge", &format!("rolling-{caller}-{call}"), "{}");
                    calls.fetch_add(1, Ordering::Relaxed);
                    if !answer.as_ref().is_ok_and(|answer| answer.status == 200) {
                        eprintln!("{answer:?}");
                        failed.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
        for _ in 0..RESTARTS {
            for index in 0..servers.len() {
                let listen = format!("127.0.0.1:{}", servers[index].port);
                servers[index].terminate();
                assert_eq!(servers[index].exit_code(), Some(0));
                servers[index] = start(index, &listen);
                held[index] = idle_connections(servers[index].port, idle / 2);
                // nginx tries the server again ten seconds after it could not connect, with one request. It sends the next one
                // only when that one is answered.
                let before = charges(&folders[index]);
                let deadline = Instant::now() + Duration::from_secs(60);
                while charges(&folders[index]) < before + 2 {
                    assert!(Instant::now() < deadline, "nginx does not use the new server");
                    std::thread::sleep(Duration::from_millis(10));
                }
            }
        }
        drop(over);
    });
    let (calls, failed) = (calls.into_inner(), failed.into_inner());
    println!("{calls} calls, {failed} failed");
    assert_eq!(failed, 0);
    let charged: Vec<String> = folders
        .iter()
        .flat_map(|folder| lines(&folder.join("ledger")))
        .collect();
    let keys: HashSet<&String> = charged.iter().collect();
    let row = Row {
        proof,
        store: "Postgres",
        tried: &format!("{} restarts, no attempt failed", 2 * RESTARTS),
        lost: calls.saturating_sub(keys.len()),
        doubled: charged.len() - keys.len(),
    };
    row.record();
}
