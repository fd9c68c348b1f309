//! The other ends of a session: what bash reads, what it tells, and what the terminal shows.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::path::Path;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, getpgid, kill_process};
use rustix::termios::tcgetpgrp;

use super::{Line, Screen, Setup, Shared, StepKind, lock, quoted, state};
use crate::engine::{Event, Exit, Id};

/// Who writes so much at once writes more …
const MUCH: usize = 1024;
/// … within this time.
const MORE: Duration = Duration::from_millis(2);
/// So many bytes are taken at once.
const FLOOD: usize = 1 << 20;
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

/// What each new bash is told first.
pub(super) struct Greeting(String);

impl Greeting {
    pub(super) fn new(setup: &Setup) -> Self {
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
    pub(super) fn send_step(&self, id: Id, kind: StepKind) -> Result<()> {
        let mut line = lock(&self.line);
        if line.cancelled.take() == Some(id) {
            drop(line);
            let exit = Exit {
                status: 130,
                ..Exit::default()
            };
            self.finish(lock(&self.screen), id, exit);
            return Ok(());
        }
        line.running = Some(id);
        (line.asked, line.interrupted) = (false, false);
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
                     <\"$__footlights_dir/step\"; {before}}} >/dev/null 2>&1\n\
                     eval \"${{__footlights_traps-}}${{__footlights_xtrace-}}$__footlights_text\"\n\
                     {{ __footlights_status=$?; case $__footlights_interrupted in 1) ;; \
                     *) builtin trap -p DEBUG ERR RETURN >|\"$__footlights_dir/traps\" ;; esac; \
                     builtin trap - DEBUG ERR RETURN; \
                     __footlights_end {id} \"$__footlights_status\" {kind} \"$@\"; }} >/dev/null 2>&1\n"
                );
                fifo.write_all(text.as_bytes())
                    .context("handing the step to bash")?;
            }
        }
        Ok(())
    }

    /// Watches an interrupted step until it has ended.
    pub(super) fn insist(&self, id: Id, first: Option<Pid>) {
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

    pub(super) fn read_terminal(&self) {
        let mut buffer = vec![0; FLOOD];
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
                Ok(_) => match self.read_flood(&mut buffer) {
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

    /// Reads what is there, and goes on while there is more: a pseudo-terminal gives 4 KB at a time, and
    /// of a flood most is never seen.
    fn read_flood(&self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let mut length = (&self.pty).read(buffer)?;
        let mut last = length;
        while last >= MUCH && length < buffer.len() {
            let wait = Timespec::try_from(MORE).unwrap_or_default();
            let more = poll(&mut [PollFd::new(&self.pty, PollFlags::IN)], Some(&wait));
            if !matches!(more, Ok(1..)) {
                break;
            }
            match (&self.pty).read(&mut buffer[length..]) {
                Ok(0) | Err(_) => break,
                Ok(read) => last = read,
            }
            length += last;
        }
        Ok(length)
    }

    pub(super) fn read_messages(&self, mut messages: File, greeting: &Greeting) {
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
        let asked = line.asked;
        let guarded = guard(&line, kubeconfig);
        drop(line);
        let state = fs::read(self.directory.join("state.new")).unwrap_or_default();
        // One that is not whole, for want of room, is worse than that of the step before.
        if state.ends_with(b"# whole\n") {
            let new = self.directory.join("state.new");
            if let Err(error) = fs::rename(new, self.directory.join("state")) {
                tracing::warn!(%error, "the shell's state could not be kept");
            }
        } else {
            tracing::warn!("the shell's state could not be saved: is the disk full?");
        }
        let state = Some(state).filter(|state| !state.is_empty());
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
                asked,
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
        let (asked, interrupted) = (line.asked, line.interrupted);
        let guarded = guard(&line, None);
        drop(line);
        if let Some(id) = running {
            // A bash that did not end its step on Ctrl-C was replaced.
            let status = match interrupted {
                true => 130,
                false => status.parse().unwrap_or(1),
            };
            let screen = self.quiet();
            let exit = Exit {
                status,
                guarded,
                asked,
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
pub(super) fn take_message(buffer: &mut Vec<u8>) -> Option<Vec<String>> {
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
