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

mod asking;
mod listen;
mod reap;
mod state;

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};
use pty_process::blocking::{Command, Pty};
use rustix::process::{Pid, Signal, getpgid, kill_process, kill_process_group};
use rustix::termios::{Termios, tcgetattr, tcgetpgrp, tcsetattr};
use tokio::sync::mpsc::UnboundedSender;

use self::listen::Greeting;
use crate::engine::{Event, Id};
use crate::private;
use crate::script::names;
use crate::terminal::Terminal;

const SUPERVISOR: &str = include_str!("../assets/shell/supervisor.bash");
const PRELUDE: &str = include_str!("../assets/shell/prelude.bash");

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
    /// A step that was interrupted before it reached bash.
    cancelled: Option<Id>,
    /// The step that runs has been interrupted.
    interrupted: bool,
    /// The step that runs has asked for input that nobody gave.
    asked: bool,
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
            .tempdir_in(private::directory())
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
        if setup.input == Input::Nobody {
            let asked = Arc::downgrade(&shared);
            std::thread::Builder::new()
                .name("asking".to_owned())
                .spawn(move || asking::answer_with_the_end(&asked))?;
        }
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

    /// Runs a step whose first word may be nothing that bash knows: a hook that only the author has.
    pub fn run_if_known(&self, id: Id, command: &str) -> Result<()> {
        let is_plain = |word: &String| {
            word.chars()
                .all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c))
        };
        let Some(word) = names::first_word(command).filter(is_plain) else {
            return self.run(id, command);
        };
        let known = format!("type -- {} &>/dev/null", quoted(&word));
        self.run(
            id,
            &format!("if {known}; then\n{command}\nelse (exit 127); fi"),
        )
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
        let mut line = lock(&self.shared.line);
        if line.running != Some(id) {
            // It has not reached bash yet, and now never does.
            line.cancelled = Some(id);
            return;
        }
        line.interrupted = true;
        drop(line);
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

/// Quoted for bash.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests;
