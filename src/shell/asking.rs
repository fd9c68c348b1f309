//! Commands that ask when nobody is there: they read an end of the input.
//!
//! Standard input is empty in an unattended show, but a command may read the terminal itself
//! (`read </dev/tty`, a password). It is seen in `/proc`: where there is none, the step's time-out ends
//! the wait.

use std::io::Write;
use std::sync::Weak;
use std::time::Duration;

use rustix::process::Pid;
use rustix::termios::tcgetpgrp;

use super::{Shared, lock};

/// So often is the running step looked at; one that reads twice in a row waits for somebody.
const LOOK: Duration = Duration::from_millis(250);
/// The terminal's end of input (VEOF).
const END: &[u8] = b"\x04";

/// Answers whoever reads the terminal, until the session has ended.
pub(super) fn answer_with_the_end(session: &Weak<Shared>) {
    let mut read_before = None;
    loop {
        std::thread::sleep(LOOK);
        let Some(shared) = session.upgrade() else {
            return;
        };
        let running = lock(&shared.line).running;
        let group = tcgetpgrp(&shared.pty)
            .ok()
            .filter(|group| reads_terminal(*group));
        let reading = running.zip(group);
        if reading.is_some() && reading == read_before {
            lock(&shared.line).asked = true;
            let _ = (&shared.pty).write_all(END);
        }
        read_before = reading;
    }
}

/// True if a process of the group is blocked in reading a terminal.
fn reads_terminal(group: Pid) -> bool {
    let Ok(processes) = std::fs::read_dir("/proc") else {
        return false;
    };
    processes.flatten().any(|entry| {
        let path = entry.path();
        let in_group = std::fs::read_to_string(path.join("stat")).is_ok_and(|stat| {
            // The third field after the name is the group (proc(5)).
            let fields = stat.rsplit_once(") ").map(|(_, fields)| fields);
            let found = fields.and_then(|fields| fields.split(' ').nth(2)?.parse().ok());
            found == Some(group.as_raw_nonzero().get())
        });
        in_group && reads_a_terminal(&path)
    })
}

/// `read` is number 0 on x86-64 and 63 elsewhere; its first argument is the file.
fn reads_a_terminal(process: &std::path::Path) -> bool {
    let call = std::fs::read_to_string(process.join("syscall")).unwrap_or_default();
    let mut fields = call.split_whitespace();
    let is_read = matches!(fields.next(), Some("0" | "63"));
    let file = fields.next().and_then(|file| {
        let number = u32::from_str_radix(file.trim_start_matches("0x"), 16).ok()?;
        std::fs::read_link(process.join("fd").join(number.to_string())).ok()
    });
    is_read && file.is_some_and(|f| f.starts_with("/dev/pts") || f.ends_with("tty"))
}
