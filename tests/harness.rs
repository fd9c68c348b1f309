//! What the tests have in common: the binary in a clean environment, a PTY, waiting without sleeping.

use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use footlights::embedded::EmbeddedCluster;
use footlights::embedded::profile::Profile;

/// The binary under test.
pub const BINARY: &str = env!("CARGO_BIN_EXE_footlights");

/// Whatever is waited for comes within this time, or the test fails.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A clean place to run the binary in: its own home, state and temporary directory.
pub struct Place {
    pub home: tempfile::TempDir,
}

impl Place {
    pub fn new() -> Self {
        Place {
            home: tempfile::tempdir().unwrap(),
        }
    }

    pub fn tmp(&self) -> PathBuf {
        let tmp = self.home.path().join("tmp");
        std::fs::create_dir_all(&tmp).unwrap();
        tmp
    }

    /// The variables that make it clean.
    pub fn environment(&self) -> Vec<(String, String)> {
        let home = self.home.path().display();
        [
            ("HOME", format!("{home}")),
            ("TMPDIR", self.tmp().display().to_string()),
            ("XDG_STATE_HOME", format!("{home}/state")),
            ("XDG_CONFIG_HOME", format!("{home}/config")),
            ("RUST_BACKTRACE", "0".to_owned()),
            ("TERM", "xterm-256color".to_owned()),
        ]
        .map(|(k, v)| (k.to_owned(), v))
        .to_vec()
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(BINARY);
        command
            .args(args)
            .envs(self.environment())
            .env_remove("KUBECONFIG");
        command
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .stdin(Stdio::null());
        command
    }

    pub fn run(&self, args: &[&str]) -> Finished {
        Finished::of(self.command(args).ends())
    }

    /// Names of what was left in the temporary directory.
    pub fn left_behind(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.tmp()).unwrap();
        entries
            .map(|e| e.unwrap().file_name().to_string_lossy().into_owned())
            .collect()
    }
}

/// A command in a process group of its own, which is killed when it does not end in time.
pub trait Ends {
    /// What it said by its end, or, when the time was up, until then.
    fn ends_within(&mut self, limit: Duration) -> Result<Output, String>;

    #[track_caller]
    fn ends(&mut self) -> Output {
        self.ends_within(PATIENCE * 5)
            .unwrap_or_else(|said| panic!("{said}"))
    }
}

impl Ends for Command {
    fn ends_within(&mut self, limit: Duration) -> Result<Output, String> {
        let deadline = Instant::now() + limit;
        let piped = self.stdout(Stdio::piped()).stderr(Stdio::piped());
        let grouped = piped.stdin(Stdio::null()).process_group(0);
        let mut child = grouped.spawn().unwrap();
        let pid = rustix::process::Pid::from_child(&child);
        let stdout = read_all(child.stdout.take().unwrap());
        let stderr = read_all(child.stderr.take().unwrap());
        loop {
            let status = child.try_wait().unwrap();
            // A grandchild may hold the pipes open.
            if let Some(status) = status.filter(|_| stdout.is_finished() && stderr.is_finished()) {
                let [stdout, stderr] = [stdout, stderr].map(|pipe| pipe.join().unwrap());
                return Ok(Output {
                    status,
                    stdout,
                    stderr,
                });
            }
            if Instant::now() > deadline {
                break;
            }
            std::thread::park_timeout(Duration::from_millis(5));
        }
        let _ = rustix::process::kill_process_group(pid, rustix::process::Signal::KILL);
        let _ = child.wait();
        // What left the group may hold the pipes for ever.
        let said = [stdout, stderr].map(|pipe| match pipe.is_finished() {
            true => String::from_utf8_lossy(&pipe.join().unwrap()).into_owned(),
            false => "(its pipe is still open)".to_owned(),
        });
        Err(format!(
            "{self:?} did not end in {limit:?}:\n{}\n{}",
            said[0], said[1]
        ))
    }
}

fn read_all(mut pipe: impl Read + Send + 'static) -> std::thread::JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut all = Vec::new();
        let _ = pipe.read_to_end(&mut all);
        all
    })
}

/// A command that has ended.
#[derive(Debug)]
pub struct Finished {
    pub status: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Finished {
    pub fn of(output: Output) -> Self {
        Finished {
            status: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    #[track_caller]
    pub fn exits(self, status: i32) -> Self {
        assert_eq!(
            self.status,
            Some(status),
            "{}\n{}",
            self.stdout,
            self.stderr
        );
        self
    }
}

/// Waits until `check` returns something; fails with what `state` says.
#[track_caller]
pub fn wait_until<T>(
    what: &str,
    mut check: impl FnMut() -> Option<T>,
    state: impl Fn() -> String,
) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = check() {
            return found;
        }
        assert!(
            Instant::now() < deadline,
            "waited in vain for {what}:\n{}",
            state()
        );
        std::thread::yield_now();
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

/// A program in a PTY, and the screen that it draws.
pub struct Pty {
    pub child: std::process::Child,
    pty: Arc<pty_process::blocking::Pty>,
    screen: Arc<Mutex<vt100::Parser>>,
    raw: Arc<Mutex<Vec<u8>>>,
}

impl Pty {
    pub fn start(place: &Place, program: &str, args: &[&str], columns: u16, rows: u16) -> Self {
        let (pty, pts) = pty_process::blocking::open().unwrap();
        pty.resize(pty_process::Size::new(rows, columns)).unwrap();
        let mut command = pty_process::blocking::Command::new(program)
            .args(args)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .env_remove("KUBECONFIG");
        for (name, value) in place.environment() {
            command = command.env(name, value);
        }
        let child = command.spawn(pts).unwrap();
        let size = |n| std::num::NonZeroU16::new(n).unwrap();
        let screen = Arc::new(Mutex::new(vt100::Parser::new(size(rows), size(columns), 0)));
        let (pty, raw) = (Arc::new(pty), Arc::new(Mutex::new(Vec::new())));
        let (reader, parsed, kept) = (pty.clone(), screen.clone(), raw.clone());
        std::thread::spawn(move || {
            let mut buffer = [0; 8192];
            while let Ok(length @ 1..) = (&*reader).read(&mut buffer) {
                parsed.lock().unwrap().process(&buffer[..length]);
                kept.lock().unwrap().extend_from_slice(&buffer[..length]);
            }
        });
        Pty {
            child,
            pty,
            screen,
            raw,
        }
    }

    pub fn send(&self, keys: &str) {
        (&*self.pty).write_all(keys.as_bytes()).unwrap();
    }

    pub fn resize(&self, columns: u16, rows: u16) {
        let size = |n| std::num::NonZeroU16::new(n).unwrap();
        self.screen
            .lock()
            .unwrap()
            .screen_mut()
            .set_size(size(rows), size(columns));
        self.pty
            .resize(pty_process::Size::new(rows, columns))
            .unwrap();
    }

    pub fn modes(&self) -> rustix::termios::Termios {
        rustix::termios::tcgetattr(&*self.pty).unwrap()
    }

    pub fn text(&self) -> String {
        self.screen.lock().unwrap().screen().contents()
    }

    pub fn raw(&self) -> Vec<u8> {
        self.raw.lock().unwrap().clone()
    }

    /// How many cells have a colour in front or behind.
    pub fn count_color(&self, r: u8, g: u8, b: u8) -> usize {
        let parser = self.screen.lock().unwrap();
        let screen = parser.screen();
        let (rows, columns) = screen.size();
        let wanted = vt100::Color::Rgb(r, g, b);
        (0..rows.get())
            .flat_map(|row| (0..columns.get()).map(move |column| (row, column)))
            .filter_map(|(row, column)| screen.cell(row, column))
            .filter(|cell| cell.fgcolor() == wanted || cell.bgcolor() == wanted)
            .count()
    }

    #[track_caller]
    pub fn wait_for(&self, text: &str) {
        wait_until(
            text,
            || self.text().contains(text).then_some(()),
            || self.text(),
        );
    }

    #[track_caller]
    pub fn wait_end(&mut self) -> i32 {
        let screen = self.screen.clone();
        let child = &mut self.child;
        let status = wait_until(
            "the program's end",
            || child.try_wait().unwrap(),
            || screen.lock().unwrap().screen().contents(),
        );
        use std::os::unix::process::ExitStatusExt;
        status
            .code()
            .unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The real kubectls at hand: on PATH, and in the directories of FOOTLIGHTS_KUBECTLS.
pub fn kubectls() -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = Vec::new();
    let path = std::env::var_os("PATH").unwrap_or_default();
    found.extend(
        std::env::split_paths(&path)
            .map(|d| d.join("kubectl"))
            .find(|p| p.is_file()),
    );
    let more = std::env::var_os("FOOTLIGHTS_KUBECTLS").unwrap_or_default();
    found.extend(
        std::env::split_paths(&more)
            .map(|d| d.join("kubectl"))
            .filter(|p| p.is_file()),
    );
    found
}

/// A directory with links to all programs on PATH but some.
pub fn path_without(hidden: &[&str]) -> tempfile::TempDir {
    let links = tempfile::tempdir().unwrap();
    let path = std::env::var_os("PATH").unwrap_or_default();
    for directory in std::env::split_paths(&path) {
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            let name = entry.file_name();
            if !hidden.iter().any(|h| name == *h) {
                // The first on PATH wins, as it does for the shell.
                let _ = std::os::unix::fs::symlink(entry.path(), links.path().join(name));
            }
        }
    }
    links
}

/// An HTTP client that goes by no proxy and does not wait for ever.
pub fn http() -> reqwest::ClientBuilder {
    reqwest::Client::builder().no_proxy().timeout(PATIENCE)
}

/// The workshop's cluster in this process, every pod ready, and its Gateway's URL.
pub async fn workshop() -> (EmbeddedCluster, String) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let cluster = EmbeddedCluster::start(Profile::Workshop.into())
        .await
        .unwrap();
    let gateways = cluster.gateways();
    let mut changes = gateways.changes();
    let settled = async {
        while !gateways.settled() {
            changes.changed().await.unwrap();
        }
    };
    let settled = tokio::time::timeout(PATIENCE, settled).await;
    settled.expect("every pod of the workshop becomes ready");
    let url = gateways.list()[0].url();
    (cluster, url)
}

/// Says on the test's output that something was left out, and why.
pub fn skipped(what: &str, why: &str) {
    eprintln!("SKIPPED {what}: {why}");
    if let Ok(file) = std::env::var("FOOTLIGHTS_SKIPPED") {
        let log = std::fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(file);
        let _ = log.and_then(|mut log| writeln!(log, "{what}: {why}"));
    }
}

/// Copies a directory's files, without those of directories in it.
pub fn copy_files(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.path().is_file() {
            std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}
