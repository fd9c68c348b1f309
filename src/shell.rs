//! The shell: one bash in a PTY for the whole show.
//!
//! ```text
//! Session ──step text──> FIFO ──> bash ──┐ under a supervisor that starts another if it dies
//!    ^                                   │
//!    ├──<── FIFO: READY, END, DIED ──────┤ status and environment, never read off the screen
//!    └──<── PTY ──> Terminal ──> frames ─┘ parsed on a thread of its own
//! ```
//!
//! A step has ended when bash says so over the FIFO and its last output, up to a mark that bash
//! prints after it, has gone through the terminal. A background child that holds the PTY open
//! delays nothing.

mod reap;
mod state;

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use pty_process::blocking::{Command, Pty};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, getpgid, kill_process, kill_process_group};
use rustix::termios::{Termios, tcgetattr, tcgetpgrp, tcsetattr};
use tokio::sync::mpsc::UnboundedSender;

use crate::engine::{Event, Exit, Id};
use crate::script::names;
use crate::terminal::Terminal;

const SUPERVISOR: &str = include_str!("../assets/shell/supervisor.bash");
const PRELUDE: &str = include_str!("../assets/shell/prelude.bash");

/// At most so often does the screen get a new frame.
const FRAME: Duration = Duration::from_millis(16);
/// A step's last output is waited for this long once bash has reported its end.
const DRAIN: Duration = Duration::from_secs(1);
/// So many further commands of an interrupted step are interrupted before its bash is replaced.
const INSISTENCE: u32 = 40;
/// Output that has paused for so long has ended, when no mark can come.
const QUIET: Duration = Duration::from_millis(50);
/// A bash that itself does not end its step on Ctrl-C within this is replaced.
const STUBBORN: Duration = Duration::from_millis(700);
/// So often is an interrupted step looked at.
const INSIST: Duration = Duration::from_millis(50);

/// Where commands read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// The terminal: a presenter can type.
    Terminal,
    /// End-of-file at once: nobody is there.
    Nobody,
}

/// What a session needs.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The whole environment of commands, but for what a session adds to it.
    pub environment: Vec<(OsString, OsString)>,
    /// The kubeconfig that commands get, and that is put back if they change it.
    pub kubeconfig: PathBuf,
    /// The directory of stand-ins, first on PATH.
    pub bin: PathBuf,
    /// Where commands read from.
    pub input: Input,
    /// Columns and rows.
    pub size: (u16, u16),
    /// `$0` of commands.
    pub script: PathBuf,
    /// `$1` and so on.
    pub args: Vec<String>,
    /// Where the first command starts.
    pub directory: PathBuf,
    /// What bash evaluates before the first command, each by itself.
    pub prologue: Vec<String>,
}

/// The words of a nested script, and what it inherits.
#[derive(Clone, Debug)]
pub struct Expanded {
    /// The shell's working directory.
    pub directory: PathBuf,
    /// The script's path and its arguments.
    pub words: Vec<String>,
    /// The exported variables.
    pub environment: Vec<(OsString, OsString)>,
}

/// How a step is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum StepKind {
    Command,
    /// All that it sets is exported.
    Assignment,
}

impl StepKind {
    fn of(command: &str) -> Self {
        if names::is_assignment(command) {
            StepKind::Assignment
        } else {
            StepKind::Command
        }
    }
}

/// A running session. Dropping it ends everything that it started.
pub struct Session {
    shared: Arc<Shared>,
    directory: tempfile::TempDir,
    setup: Setup,
    supervisor: std::process::Child,
    marker: String,
    clean: Termios,
}

struct Shared {
    pty: Pty,
    screen: Mutex<Screen>,
    /// Rung whenever the terminal took bytes.
    drained: Condvar,
    line: Mutex<Line>,
    events: UnboundedSender<Event>,
    directory: PathBuf,
}

/// The terminal and the step whose output it has.
struct Screen {
    terminal: Terminal,
    step: Option<Id>,
    size: (u16, u16),
}

/// The way to bash: its FIFO once it is ready, and the step that runs or waits for it.
#[derive(Default)]
struct Line {
    fifo: Option<File>,
    running: Option<Id>,
    queued: Option<(Id, StepKind)>,
    kubeconfig: Option<(PathBuf, Vec<u8>)>,
    bash: Option<Pid>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing in this module panics with a lock held; a poisoned one is as good as any.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Session {
    /// Starts bash. `Output` and `Exited` events go to `events`.
    pub fn start(setup: Setup, events: UnboundedSender<Event>) -> Result<Self> {
        let directory = tempfile::Builder::new()
            .prefix("footlights-shell-")
            .permissions(fs::Permissions::from_mode(0o700))
            .tempdir()
            .context("making a private directory for the shell")?;
        let path = directory.path().to_owned();
        let out = path.join("out");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &out,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
            0,
        )
        .context("making the shell's FIFO")?;
        // Open for both, so that it never reads as ended between two messages.
        let messages = OpenOptions::new().read(true).write(true).open(&out)?;
        fs::write(path.join("prelude"), PRELUDE)?;
        fs::write(path.join("supervisor"), SUPERVISOR)?;
        fs::write(path.join("env"), "")?;

        let (pty, pts) = pty_process::blocking::open().context("opening a pseudo-terminal")?;
        pty.resize(pty_process::Size::new(setup.size.1, setup.size.0))?;
        let clean = tcgetattr(&pty).context("reading the pseudo-terminal's modes")?;
        let input = match setup.input {
            Input::Terminal => "/dev/tty",
            Input::Nobody => "/dev/null",
        };
        let marker = format!("FOOTLIGHTS_SESSION={}", path.join("session").display());
        let command = Command::new("bash")
            .args(["--norc", "--noprofile"])
            .arg(path.join("supervisor"))
            .arg(&path)
            .arg(input)
            .env_clear()
            .envs(setup.environment.iter().map(|(name, value)| (name, value)))
            .env("FOOTLIGHTS_SESSION", path.join("session"))
            .env("KUBECONFIG", &setup.kubeconfig)
            .env("TERM", "xterm-256color")
            .env("COLORTERM", "truecolor")
            .env_remove("BASH_ENV");
        let supervisor = command
            .spawn(pts)
            .context("starting bash: is it installed?")?;
        let kubeconfig = fs::read(&setup.kubeconfig).unwrap_or_default();
        let shared = Arc::new(Shared {
            pty,
            screen: Mutex::new(Screen {
                terminal: Terminal::new(setup.size.0, setup.size.1),
                step: None,
                size: setup.size,
            }),
            drained: Condvar::new(),
            line: Mutex::new(Line {
                kubeconfig: Some((setup.kubeconfig.clone(), kubeconfig)),
                ..Line::default()
            }),
            events,
            directory: path,
        });
        let reader = shared.clone();
        std::thread::Builder::new()
            .name("terminal".to_owned())
            .spawn(move || reader.read_terminal())?;
        let listener = shared.clone();
        let hello = Greeting::new(&setup);
        std::thread::Builder::new()
            .name("shell".to_owned())
            .spawn(move || listener.read_messages(messages, &hello))?;
        Ok(Session {
            shared,
            directory,
            setup,
            supervisor,
            marker,
            clean,
        })
    }

    /// Variables that commands get from now on, whatever steps did to them.
    pub fn export(&self, variables: &[(&str, &str)]) -> Result<()> {
        let mut text = format!(
            "export KUBECONFIG={}\n",
            quoted(&self.setup.kubeconfig.to_string_lossy())
        );
        for (name, value) in variables {
            text += &format!("export {name}={}\n", quoted(value));
        }
        fs::write(self.directory.path().join("env"), text)
            .context("writing the shell's environment")
    }

    /// Runs a step. One at a time.
    pub fn run(&self, id: Id, command: &str) -> Result<()> {
        let kind = StepKind::of(command);
        let text = match kind {
            // Counts as 0 once bash has got to its end; a mistake of syntax does not get there.
            StepKind::Assignment => format!("{command}\n:"),
            StepKind::Command => command.to_owned(),
        };
        fs::write(self.directory.path().join("step"), text).context("writing the step")?;
        // A program that was killed may have left the terminal in any mode.
        tcsetattr(
            &self.shared.pty,
            rustix::termios::OptionalActions::Now,
            &self.clean,
        )
        .ok();
        let mut screen = lock(&self.shared.screen);
        screen.terminal = Terminal::new(screen.size.0, screen.size.1);
        screen.step = Some(id);
        drop(screen);
        self.shared.send_step(id, kind)
    }

    /// Runs the step that expands the words behind `$SHELL`.
    pub fn expand(&self, id: Id, words: &str) -> Result<()> {
        self.run(id, &format!("__footlights_expand {words}"))
    }

    /// What `expand` made of its words, once that step has ended.
    pub fn expanded(&self) -> Result<Expanded> {
        let read = |name: &str| -> Result<Vec<OsString>> {
            let bytes = fs::read(self.directory.path().join(name))
                .with_context(|| format!("reading the {name} of the nested script"))?;
            let fields = bytes.split(|b| *b == 0);
            let mut fields: Vec<OsString> =
                fields.map(|f| OsStr::from_bytes(f).to_owned()).collect();
            // Each is ended by a NUL, so nothing stands behind the last.
            fields.pop();
            Ok(fields)
        };
        let mut words = read("words")?.into_iter();
        let directory = words.next().context("the shell told no directory")?;
        let environment = read("environment")?;
        let pairs = environment.into_iter().filter_map(|variable| {
            let bytes = variable.as_bytes();
            let at = bytes.iter().position(|b| *b == b'=')?;
            let part = |bytes| OsStr::from_bytes(bytes).to_owned();
            Some((part(&bytes[..at]), part(&bytes[at + 1..])))
        });
        Ok(Expanded {
            directory: directory.into(),
            words: words.map(|w| w.to_string_lossy().into_owned()).collect(),
            environment: pairs.collect(),
        })
    }

    /// Bytes typed by the presenter.
    pub fn type_bytes(&self, bytes: &[u8]) {
        // A terminal that takes no more input is the program's affair.
        let _ = (&self.shared.pty).write_all(bytes);
    }

    /// Ctrl-C: to the foreground program. bash is not trusted to notice: where the signal met it
    /// between two commands of a loop the next command gets it too, and a bash that sits in a
    /// builtin is replaced.
    pub fn interrupt(&self, id: Id) {
        let first = tcgetpgrp(&self.shared.pty).ok();
        self.type_bytes(b"\x03");
        let shared = self.shared.clone();
        std::thread::spawn(move || shared.insist(id, first));
    }

    /// Ends the running step, whatever it does.
    pub fn kill(&self, id: Id) {
        let line = lock(&self.shared.line);
        if line.running != Some(id) {
            return;
        }
        // The supervisor shares bash's group and has to live on, so bash itself goes last.
        let foreground = tcgetpgrp(&self.shared.pty).ok();
        let of_bash = line.bash.and_then(|bash| getpgid(Some(bash)).ok());
        if let Some(group) = foreground.filter(|group| Some(*group) != of_bash) {
            let _ = kill_process_group(group, Signal::KILL);
        }
        if let Some(bash) = line.bash {
            let _ = kill_process(bash, Signal::KILL);
        }
    }

    /// The directory that the next command runs in.
    pub fn directory(&self) -> PathBuf {
        let bash = lock(&self.shared.line).bash;
        bash.and_then(|pid| fs::read_link(format!("/proc/{}/cwd", pid.as_raw_nonzero())).ok())
            .unwrap_or_else(|| self.setup.directory.clone())
    }

    /// Columns and rows.
    pub fn size(&self) -> (u16, u16) {
        lock(&self.shared.screen).size
    }

    /// Another size of the stage.
    pub fn resize(&self, columns: u16, rows: u16) {
        let mut screen = lock(&self.shared.screen);
        if screen.size != (columns, rows) {
            screen.size = (columns, rows);
            screen.terminal.resize(columns, rows);
            let _ = self
                .shared
                .pty
                .resize(pty_process::Size::new(rows, columns));
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(leader) = Pid::from_raw(self.supervisor.id().cast_signed()) {
            reap::end_session(leader, &self.marker);
        }
        let _ = self.supervisor.kill();
        let _ = self.supervisor.wait();
        // Wakes the thread that reads messages, which then ends.
        if let Ok(mut out) = OpenOptions::new()
            .write(true)
            .open(self.directory.path().join("out"))
        {
            let _ = out.write_all(b"BYE\0");
        }
    }
}

/// What each new bash is told first.
struct Greeting(String);

impl Greeting {
    fn new(setup: &Setup) -> Self {
        let args: Vec<String> = setup.args.iter().map(|arg| quoted(arg)).collect();
        let prologue: String = setup
            .prologue
            .iter()
            .map(|text| format!("eval {}\n", quoted(text)))
            .collect();
        Greeting(format!(
            "{{ :\n{prologue}}} 2>/dev/null; \
             __footlights_bin={}; __footlights_start={}; BASH_ARGV0={}; set -- {}",
            quoted(&setup.bin.to_string_lossy()),
            quoted(&setup.directory.to_string_lossy()),
            quoted(&setup.script.to_string_lossy()),
            args.join(" "),
        ))
    }
}

impl Shared {
    /// Sends a step to bash, or keeps it until bash is ready.
    fn send_step(&self, id: Id, kind: StepKind) -> Result<()> {
        let mut line = lock(&self.line);
        line.running = Some(id);
        match &mut line.fifo {
            None => line.queued = Some((id, kind)),
            Some(fifo) => {
                let (before, kind) = match kind {
                    StepKind::Assignment => {
                        ("__footlights_begin_assignment; set -a; ", "assignment")
                    }
                    StepKind::Command => ("", "command"),
                };
                let text = format!(
                    "{{ __footlights_begin; IFS= builtin read -r -d '' __footlights_text \
                     <\"$__footlights_dir/step\"; }} 2>/dev/null\n\
                     {before}LINENO=0; eval \"${{__footlights_xtrace:-}}$__footlights_text\"\n\
                     {{ __footlights_end {id} $? {kind} \"$@\"; }} 2>/dev/null\n"
                );
                fifo.write_all(text.as_bytes())
                    .context("handing the step to bash")?;
            }
        }
        Ok(())
    }

    /// Watches an interrupted step until it has ended.
    fn insist(&self, id: Id, first: Option<Pid>) {
        let mut in_bash = Duration::ZERO;
        let mut rounds = 0;
        loop {
            std::thread::sleep(INSIST);
            let line = lock(&self.line);
            let (Some(bash), true) = (line.bash, line.running == Some(id)) else {
                return;
            };
            let foreground = tcgetpgrp(&self.pty).ok();
            if getpgid(Some(bash)).ok() == foreground {
                in_bash += INSIST;
                if in_bash >= STUBBORN {
                    let _ = kill_process(bash, Signal::KILL);
                    return;
                }
            } else if foreground == first {
                // The program that got the signal is still ending, in its own time.
                in_bash = Duration::ZERO;
            } else if rounds < INSISTENCE {
                rounds += 1;
                let _ = (&self.pty).write_all(b"\x03");
            } else {
                let _ = kill_process(bash, Signal::KILL);
                return;
            }
        }
    }

    fn read_terminal(&self) {
        let mut buffer = vec![0; 64 * 1024];
        let mut shown = Instant::now();
        let mut dirty = false;
        loop {
            let wait = if dirty {
                FRAME.saturating_sub(shown.elapsed())
            } else {
                DRAIN
            };
            let timeout = Timespec::try_from(wait).unwrap_or_default();
            let ready = poll(&mut [PollFd::new(&self.pty, PollFlags::IN)], Some(&timeout));
            match ready {
                Ok(0) => {}
                Ok(_) => match (&self.pty).read(&mut buffer) {
                    // On Linux the last writer's end reads as EIO.
                    Ok(0) | Err(_) => return,
                    Ok(length) => {
                        let answer = lock(&self.screen).terminal.take(&buffer[..length]);
                        if !answer.is_empty() {
                            let _ = (&self.pty).write_all(&answer);
                        }
                        self.drained.notify_all();
                        dirty = true;
                    }
                },
                Err(rustix::io::Errno::INTR) => continue,
                Err(_) => return,
            }
            if dirty && shown.elapsed() >= FRAME {
                let screen = lock(&self.screen);
                if let Some(step) = screen.step {
                    let frame = Arc::new(screen.terminal.frame());
                    let _ = self.events.send(Event::Output(step, frame));
                }
                shown = Instant::now();
                dirty = false;
            }
        }
    }

    fn read_messages(&self, mut messages: File, greeting: &Greeting) {
        let mut buffer = Vec::new();
        let mut chunk = [0; 4096];
        loop {
            match messages.read(&mut chunk) {
                Ok(0) | Err(_) => return,
                Ok(length) => buffer.extend_from_slice(&chunk[..length]),
            }
            while let Some(fields) = take_message(&mut buffer) {
                let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
                match fields[..] {
                    ["BYE"] => return,
                    ["READY", generation] => self.ready(generation, greeting),
                    ["PID", pid] => {
                        lock(&self.line).bash = pid.parse().ok().and_then(Pid::from_raw);
                    }
                    ["END", id, status, errexit, kubeconfig] => {
                        self.ended(id, status, errexit == "1", Some(kubeconfig));
                    }
                    ["DIED", _, status] => self.died(status),
                    _ => tracing::warn!(?fields, "a message from the shell is not understood"),
                }
            }
        }
    }

    fn ready(&self, generation: &str, greeting: &Greeting) {
        let fifo = self.directory.join(generation).join("bash");
        // Read and write: opening does not block, and bash never sees the end of its commands.
        let Ok(mut fifo) = OpenOptions::new().read(true).write(true).open(&fifo) else {
            return;
        };
        let hello = format!(
            "__footlights_dir={}; {}; . \"$__footlights_dir/prelude\"; printf 'PID\\0%s\\0' $$ >\"$__footlights_dir/out\"\n",
            quoted(&self.directory.to_string_lossy()),
            greeting.0,
        );
        if fifo.write_all(hello.as_bytes()).is_err() {
            return;
        }
        let mut line = lock(&self.line);
        line.fifo = Some(fifo);
        let queued = line.queued.take();
        drop(line);
        if let Some((id, kind)) = queued
            && let Err(error) = self.send_step(id, kind)
        {
            tracing::error!(%error, "the step could not be handed to the new shell");
        }
    }

    fn ended(&self, id: &str, status: &str, errexit: bool, kubeconfig: Option<&str>) {
        let (Ok(id), Ok(status)) = (id.parse::<Id>(), status.parse::<i32>()) else {
            return;
        };
        let mut line = lock(&self.line);
        if line.running != Some(id) {
            return;
        }
        line.running = None;
        let guarded = guard(&line, kubeconfig);
        drop(line);
        // Whole only now: a bash that dies while it saves leaves the state of before.
        let saved = fs::rename(
            self.directory.join("state.new"),
            self.directory.join("state"),
        );
        if let Err(error) = saved {
            tracing::warn!(%error, "the shell's state could not be saved");
        }
        let state = fs::read(self.directory.join("state")).ok();
        let variables =
            state.map(|state| Arc::new(state::variables(&String::from_utf8_lossy(&state))));
        let deadline = Instant::now() + DRAIN;
        let mut screen = lock(&self.screen);
        while !screen.terminal.has_ended(id) && Instant::now() < deadline {
            let left = deadline.saturating_duration_since(Instant::now());
            let waited = self.drained.wait_timeout(screen, left);
            screen = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        self.finish(
            screen,
            id,
            Exit {
                status,
                errexit,
                guarded,
                variables,
            },
        );
    }

    fn finish(&self, mut screen: MutexGuard<'_, Screen>, id: Id, exit: Exit) {
        let frame = Arc::new(screen.terminal.transcript());
        screen.step = None;
        drop(screen);
        // The show may be over; then nobody listens any more.
        let _ = self.events.send(Event::Output(id, frame));
        let _ = self.events.send(Event::Exited(id, exit));
    }

    /// The shell has gone: `exit`, `exec`, a signal. The step has ended; the supervisor starts
    /// another bash with the state of before.
    fn died(&self, status: &str) {
        let mut line = lock(&self.line);
        line.fifo = None;
        line.bash = None;
        let running = line.running.take();
        let guarded = guard(&line, None);
        drop(line);
        if let Some(id) = running {
            let status = status.parse().unwrap_or(1);
            let screen = self.quiet();
            let exit = Exit {
                status,
                guarded,
                ..Exit::default()
            };
            self.finish(screen, id, exit);
        }
    }

    /// Waits until the terminal has taken nothing for a moment: a dead shell leaves no mark.
    fn quiet(&self) -> MutexGuard<'_, Screen> {
        let deadline = Instant::now() + DRAIN;
        let mut screen = lock(&self.screen);
        while Instant::now() < deadline {
            let waited = self.drained.wait_timeout(screen, QUIET);
            let (next, result) = waited.unwrap_or_else(PoisonError::into_inner);
            screen = next;
            if result.timed_out() {
                break;
            }
        }
        screen
    }
}

/// Puts the kubeconfig back if a step changed it, and says so. `seen` is KUBECONFIG after the step,
/// if there was still a shell to tell it.
fn guard(line: &Line, seen: Option<&str>) -> Option<String> {
    let (path, contents) = line.kubeconfig.as_ref()?;
    if fs::read(path).ok().as_ref() != Some(contents) {
        let restored = fs::write(path, contents);
        let how = if restored.is_ok() {
            "it was put back"
        } else {
            "it could not be put back"
        };
        return Some(format!(
            "the step changed the kubeconfig that commands get: {how}"
        ));
    }
    let same = seen.is_none_or(|seen| Path::new(seen) == path);
    (!same).then(|| "the step changed KUBECONFIG: it was put back".to_owned())
}

/// Takes the first whole message off the buffer: its fields, ended by NUL each.
fn take_message(buffer: &mut Vec<u8>) -> Option<Vec<String>> {
    let first_end = buffer.iter().position(|b| *b == 0)?;
    let count = match &buffer[..first_end] {
        b"READY" | b"PID" => 2,
        b"DIED" => 3,
        b"END" => 5,
        _ => 1,
    };
    let mut ends = buffer
        .iter()
        .enumerate()
        .filter(|(_, b)| **b == 0)
        .map(|(i, _)| i);
    let last = ends.nth(count - 1)?;
    let message: Vec<u8> = buffer.drain(..=last).collect();
    let fields = message[..last].split(|b| *b == 0);
    Some(
        fields
            .map(|f| String::from_utf8_lossy(f).into_owned())
            .collect(),
    )
}

/// Quoted for bash.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests;
