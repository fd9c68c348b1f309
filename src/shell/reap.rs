//! Ending everything that a session started: whatever is in it, and whatever left it but still
//! carries its environment.

use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// Programs get this long to end by themselves after each signal: traps of EXIT run in it, on busy
/// machines too.
const GRACE: Duration = Duration::from_secs(1);

/// Ends all processes of a session, and those with `marker` in their environment.
pub fn end_session(leader: Pid, marker: &str) {
    let own = rustix::process::getpid();
    // The leader goes last: when it ends, the kernel sends SIGHUP to the foreground, and a bash that
    // gets a second signal while it runs its trap of EXIT leaves it. Stopped, it starts no new bash.
    let _ = kill_process(leader, Signal::STOP);
    let members = || {
        members(leader, marker)
            .into_iter()
            .filter(move |pid| *pid != own && *pid != leader)
    };
    for signal in [Signal::TERM, Signal::HUP] {
        for pid in members() {
            let _ = kill_process(pid, signal);
            // Stopped programs do not see a signal before they go on.
            let _ = kill_process(pid, Signal::CONT);
        }
        let deadline = Instant::now() + GRACE;
        while Instant::now() < deadline && members().next().is_some() {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    for pid in members().chain([leader]) {
        let _ = kill_process(pid, Signal::KILL);
    }
}

/// The living processes of a session. Where there is no `/proc`, only its leader.
fn members(leader: Pid, marker: &str) -> Vec<Pid> {
    let Ok(processes) = std::fs::read_dir("/proc") else {
        return vec![leader];
    };
    processes
        .flatten()
        .filter_map(|entry| {
            entry
                .file_name()
                .to_str()?
                .parse()
                .ok()
                .and_then(Pid::from_raw)
        })
        .filter(|pid| match state_and_session(*pid) {
            Some((state, _)) if state == "Z" => false,
            Some((_, session)) => session == leader.as_raw_nonzero().get() || carries(*pid, marker),
            None => false,
        })
        .collect()
}

fn carries(pid: Pid, marker: &str) -> bool {
    std::fs::read(format!("/proc/{}/environ", pid.as_raw_nonzero())).is_ok_and(|environment| {
        environment
            .split(|b| *b == 0)
            .any(|v| v == marker.as_bytes())
    })
}

/// A process's state letter and session, from `/proc/PID/stat` (proc(5)): the third and the sixth
/// field, counted after the name, which may hold anything.
fn state_and_session(pid: Pid) -> Option<(String, i32)> {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    let state = fields.next()?.to_owned();
    let session = fields.nth(2)?.parse().ok()?;
    Some((state, session))
}
