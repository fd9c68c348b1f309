//! A real bash in a real PTY.

use super::listen::take_message;
use super::*;
use crate::engine::Exit;
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

struct Show {
    session: Session,
    events: UnboundedReceiver<Event>,
    next: Id,
    _kubeconfig: tempfile::NamedTempFile,
}

/// Handles SIGINT as the program does: what is handled is the default again in programs that are
/// started. Who started the tests may have ignored it.
fn handle_interrupts() {
    static HANDLED: std::sync::OnceLock<tokio::runtime::Runtime> = std::sync::OnceLock::new();
    HANDLED.get_or_init(|| {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let entered = runtime.enter();
        drop(signal(SignalKind::interrupt()).unwrap());
        drop(entered);
        runtime
    });
}

impl Show {
    fn start() -> Self {
        handle_interrupts();
        let kubeconfig = tempfile::NamedTempFile::new().unwrap();
        fs::write(kubeconfig.path(), "ours").unwrap();
        let (sender, events) = unbounded_channel();
        let setup = Setup {
            environment: std::env::vars_os()
                .chain([("MARK".into(), "yes".into())])
                .collect(),
            prologue: vec!["hook() { echo hooked\n}".into(), "broken() {".into()],
            kubeconfig: kubeconfig.path().to_owned(),
            bin: "/nonexistent/bin".into(),
            input: Input::Nobody,
            size: (80, 24),
            script: "/somewhere/x.md".into(),
            args: vec!["it's".into()],
            directory: "/".into(),
        };
        let session = Session::start(setup, sender).unwrap();
        session.export(&[]).unwrap();
        Show {
            session,
            events,
            next: 0,
            _kubeconfig: kubeconfig,
        }
    }

    fn begin(&mut self, command: &str) -> Id {
        self.next += 1;
        self.session.run(self.next, command).unwrap();
        self.next
    }

    /// Waits for the step's end; returns what it wrote and how it ended.
    fn end(&mut self, id: Id) -> (String, Exit) {
        let deadline = Instant::now() + Duration::from_secs(20);
        let mut output = String::new();
        loop {
            match self.events.try_recv() {
                Ok(Event::Output(step, frame)) if step == id => {
                    let lines: Vec<String> = frame.lines.iter().map(ToString::to_string).collect();
                    output = lines.join("\n");
                }
                Ok(Event::Exited(step, exit)) if step == id => return (output, exit),
                Ok(_) => {}
                Err(_) => {
                    assert!(
                        Instant::now() < deadline,
                        "step {id} does not end; so far: {output}"
                    );
                    std::thread::yield_now();
                }
            }
        }
    }

    fn run(&mut self, command: &str) -> (String, i32) {
        let id = self.begin(command);
        let (output, exit) = self.end(id);
        (output, exit.status)
    }

    /// Waits until the running step has written something.
    fn wait_for(&mut self, id: Id, text: &str) {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            if let Ok(Event::Output(step, frame)) = self.events.try_recv()
                && step == id
                && frame.lines.iter().any(|l| l.to_string().contains(text))
            {
                return;
            }
            assert!(Instant::now() < deadline, "step {id} never wrote {text}");
            std::thread::yield_now();
        }
    }
}

#[test]
fn state_persists_over_steps() {
    let mut show = Show::start();
    let dir = tempfile::tempdir().unwrap();
    show.run(&format!("cd {}", dir.path().display()));
    show.run("x=1; export Y=2; f() { echo f:$1:$x; }; alias hi='echo hello'; a=(1 2 3); umask 027");
    assert_eq!(
        show.run("f 9; hi; echo ${a[1]} $Y $MARK; umask").0,
        "f:9:1\nhello\n2 2 yes\n0027"
    );
    assert_eq!(show.run("pwd").0, dir.path().display().to_string());
    assert_eq!(show.session.directory(), dir.path());
    assert_eq!(show.run("echo $0 $1").0, "/somewhere/x.md it's");
    assert_eq!(
        show.run("for i in 1 2; do\n  echo $i\ndone\ncat <<EOF\nhere\nEOF")
            .0,
        "1\n2\nhere"
    );
}

#[test]
fn statuses_and_messages_are_bashs_own() {
    let mut show = Show::start();
    assert_eq!(show.run("false").1, 1);
    assert_eq!(show.run("(exit 7)").1, 7);
    let (output, status) = show.run("nonesuch");
    assert_eq!(status, 127);
    assert!(
        output.starts_with("bash: line") && output.ends_with(": nonesuch: command not found"),
        "{output}"
    );
    assert_eq!(show.run("if").1, 2);
    assert_eq!(show.run("echo still here").0, "still here");
}

#[test]
fn a_step_that_ends_its_shell_ends_only_itself() {
    let mut show = Show::start();
    show.run("keep=1; g() { echo g; }");
    for (command, status) in [("exit 3", 3), ("keep=2; exec true", 0), ("kill -9 $$", 137)] {
        assert_eq!(show.run(command).1, status, "{command}");
        assert_eq!(show.run("echo $keep; g").0, "1\ng", "after {command}");
    }
}

#[test]
fn the_state_of_before_holds_after_a_death_whatever_it_is() {
    let mut show = Show::start();
    let dir = tempfile::tempdir().unwrap();
    show.run(&format!(
        "cd {}; umask 027; shopt -s nullglob; set -o pipefail",
        dir.path().display()
    ));
    show.run("x=1; export Y=2; n=$'two\nlines'; a=(1 'b c'); declare -A m=([k]=v); readonly R=r");
    show.run("f() { echo f; }; alias hi='echo hello'; trap 'echo bye' USR1; set -- one two");
    assert_eq!(show.run("exit 4").1, 4);
    let report = "pwd; umask; shopt nullglob; shopt -o pipefail; echo \"$x $n ${a[1]} ${m[k]} $R\"; f; hi; \
                  trap -p USR1; echo $1 $2; bash -c 'echo $x $Y'";
    let expected = format!(
        "{}\n0027\nnullglob        on\npipefail        on\n1 two\nlines b c v r\nf\nhello\n\
         trap -- 'echo bye' SIGUSR1\none two\n1 2",
        dir.path().display()
    );
    let (output, _) = show.run(report);
    let squeezed = output.replace('\t', " ").replace("       on", "        on");
    assert_eq!(
        squeezed.split_whitespace().collect::<Vec<_>>(),
        expected.split_whitespace().collect::<Vec<_>>()
    );
}

#[test]
fn assignments_are_exported_and_count_as_0() {
    let mut show = Show::start();
    for (command, status) in [
        ("A=$(false)", 0),
        ("B=1", 0),
        (
            "missing= ;\\\nfor c in sh nonesuch; do\n  command -v $c >/dev/null || missing=\"$missing $c\"\ndone",
            0,
        ),
        ("C=(", 1),
        ("D=$(exit 3); exit 7", 7),
    ] {
        let got = show.run(command).1;
        assert_eq!(got != 0, status != 0, "{command}: {got}");
    }
    assert_eq!(
        show.run("bash -c 'echo $B$missing'; case $- in *a*) echo leaks;; esac")
            .0,
        "1 nonesuch"
    );
    show.run("plain() { :; }; notexported=1; read -r also <<<x");
    assert_eq!(
        show.run("bash -c 'echo ${notexported-no} ${also-no}'").0,
        "no no"
    );
}

#[test]
fn variables_are_told_and_hooks_are_functions() {
    let mut show = Show::start();
    assert_eq!(show.run("hook").0, "hooked");
    let id = show.begin("V='a b'; W=$'x\ny'; set -- p");
    let variables = show.end(id).1.variables.unwrap();
    let told = |name: &str| variables.get(name).map(String::as_str);
    assert_eq!(
        [told("V"), told("W"), told("1"), told("0"), told("MARK")],
        [
            Some("a b"),
            Some("x\ny"),
            Some("p"),
            Some("/somewhere/x.md"),
            Some("yes")
        ]
    );
}

#[test]
fn ctrl_c_skips_all_that_is_left_wherever_it_meets_the_shell() {
    let mut show = Show::start();
    // bash gets the signal itself, as it does when ^C comes before a program has the terminal.
    for command in [
        "kill -INT $$; echo after; echo after2",
        "f() { kill -INT $$; echo after; }; f; echo after",
        "while :; do f; done; echo after",
        "g() { while true; do f; done; }; g && echo after || echo after",
        "for i in 1 2 3; do kill -INT $$; done; (echo after); echo after | cat; [[ a ]] && echo after",
    ] {
        let (output, status) = show.run(command);
        assert!(!output.contains("after"), "{command}: {output}");
        assert_eq!(status, 130, "{command}");
        assert_eq!(
            show.run("echo alive; trap -p DEBUG; shopt -q extdebug").0,
            "alive"
        );
    }
    show.run("trap 'echo mine' INT");
    assert_eq!(show.run("kill -INT $$; echo after").0, "mine\nafter");
}

#[test]
fn odd_bytes_and_tracing_are_harmless() {
    let mut show = Show::start();
    let (output, status) = show.run("printf 'a\\xffb\\303'; sleep 0.05; printf '\\274c\\n'");
    assert_eq!(status, 0);
    assert!(
        output.starts_with('a') && output.contains("b\u{fc}c"),
        "{output}"
    );
    show.run("set -x");
    let (output, _) = show.run("echo traced");
    assert!(
        output.contains("+ echo traced") && !output.contains("__footlights"),
        "{output}"
    );
    show.run("set +x; set -u; set -o noclobber");
    assert_eq!(show.run("echo ${1-none}").1, 0);
}

#[test]
fn traps_and_options_of_the_script_never_meet_footlights_own_commands() {
    let mut show = Show::start();
    show.run("trap 'echo ran \"$BASH_COMMAND\"' DEBUG");
    assert_eq!(show.run("echo a").0, "ran echo a\na");
    show.run("trap - DEBUG; trap 'echo erred' ERR");
    assert_eq!(show.run("true").0, "");
    assert_eq!(show.run("false").0, "erred");
    show.run("trap - ERR; set -C; set -v");
    show.run("set +v");
    assert_eq!(
        show.run("trap 'echo mine' INT; kill -INT $$; echo after").0,
        "mine\nafter"
    );
    show.run("trap - INT; set -u; unset KUBECONFIG");
    assert_eq!(show.run("echo still; set +u").0, "still");
    show.run("shopt -s extglob");
    show.run("g() { case $1 in !(a|b)) echo other;; esac; }; keep=1");
    show.run("kill -9 $$");
    assert_eq!(show.run("g c; echo $keep").0, "other\n1");
}

#[test]
fn ctrl_c_before_a_step_has_begun_or_after_the_last_has_ended() {
    let mut show = Show::start();
    show.run("true");
    show.session.interrupt(1);
    assert_eq!(show.run("echo alive").0, "alive");
    show.session.interrupt(show.next + 1);
    assert_eq!(show.run("echo never"), (String::new(), 130));
    assert_eq!(show.run("echo alive").0, "alive");
    // bash itself gets the signal while no step runs.
    show.session.type_bytes(b"\x03");
    assert!(show.run("echo one").0.ends_with("one"));
    assert_eq!(show.run("echo two").0, "two");
}

#[test]
fn an_unknown_word_behind_a_directive_says_nothing() {
    let mut show = Show::start();
    let mut run = |command: &str| {
        show.next += 1;
        show.session.run_if_known(show.next, command).unwrap();
        let (output, exit) = show.end(show.next);
        (output, exit.status)
    };
    assert_eq!(run("show_5 now"), (String::new(), 127));
    assert_eq!(run("echo now # it's"), ("now".to_owned(), 0));
    assert_eq!(run("hook"), ("hooked".to_owned(), 0));
    assert_eq!(run("(exit 3)"), (String::new(), 3));
    assert_eq!(run("X=1").1, 0);
}

#[test]
fn words_behind_shell_are_expanded_by_it() {
    let mut show = Show::start();
    show.run("cd /tmp; M=my; export E=exported; unexported=1");
    let id = show.begin("true");
    show.end(id);
    show.next += 1;
    let id = show.next;
    show.session
        .expand(id, "\"$M dir/x.md\" $M *nonesuch* 'a b'")
        .unwrap();
    assert_eq!(show.end(id).1.status, 0);
    let expanded = show.session.expanded().unwrap();
    assert_eq!(expanded.directory, Path::new("/tmp"));
    assert_eq!(expanded.words, ["my dir/x.md", "my", "*nonesuch*", "a b"]);
    let has = |name: &str| expanded.environment.iter().any(|(n, _)| n == name);
    assert!(has("E") && !has("unexported"));
}

#[test]
fn who_reads_the_terminal_when_nobody_is_there_gets_its_end() {
    let mut show = Show::start();
    let id = show.begin("read -p 'Your name? ' name </dev/tty");
    let (output, exit) = show.end(id);
    assert_eq!(
        (output.trim_end(), exit.status, exit.asked),
        ("Your name?", 1, true)
    );
    let id = show.begin("read name; cat");
    assert!(!show.end(id).1.asked, "standard input is empty at once");
}

#[test]
fn errexit_is_reported_and_does_not_kill() {
    let mut show = Show::start();
    let id = show.begin("set -e");
    assert!(show.end(id).1.errexit);
    assert_eq!(show.run("false").1, 1);
    assert_eq!(show.run("echo alive").0, "alive");
}

#[test]
fn ctrl_c_ends_commands_and_loops_and_nothing_else() {
    let mut show = Show::start();
    let length = format!("3600.{}", std::process::id());
    for (command, sleeps) in [
        ("echo go; sleep N; echo after", true),
        ("echo go; while true; do sleep 0.1; done", false),
        ("echo go; while :; do :; done", false),
        ("echo go; sleep N | cat", true),
        ("echo go; read -r x </dev/tty", false),
        (
            "echo go; trap '' INT; while true; do sleep 0.1; done",
            false,
        ),
    ] {
        let id = show.begin(&command.replace('N', &length));
        show.wait_for(id, "go");
        let deadline = Instant::now() + Duration::from_secs(20);
        while sleeps && alive(&length) == 0 {
            assert!(Instant::now() < deadline, "{command}: it never sleeps");
        }
        show.session.interrupt(id);
        let (output, _) = show.end(id);
        assert!(!output.contains("after"), "{command}: {output}");
        assert_eq!(show.run("echo alive").0, "alive", "after {command}");
    }
}

/// How many `sleep`s of this length there are.
fn alive(length: &str) -> usize {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let lines = processes.map(|p| fs::read(p.path().join("cmdline")).unwrap_or_default());
    lines
        .filter(|line| line == format!("sleep\0{length}\0").as_bytes())
        .count()
}

#[test]
fn a_background_child_neither_blocks_its_step_nor_outlives_the_session() {
    let mut show = Show::start();
    let length = format!("86400.{}", std::process::id());
    let (output, status) = show.run(&format!("sleep {length} & setsid sleep {length} & true"));
    assert_eq!(status, 0, "{output}");
    let deadline = Instant::now() + Duration::from_secs(20);
    while alive(&length) < 2 {
        assert!(
            Instant::now() < deadline,
            "{} of 2 children",
            alive(&length)
        );
    }
    drop(show);
    assert_eq!(alive(&length), 0);
}

#[test]
fn a_changed_kubeconfig_is_put_back_and_reported() {
    let mut show = Show::start();
    let id = show.begin("export KUBECONFIG=/tmp/other");
    let (_, exit) = show.end(id);
    assert!(exit.guarded.is_some_and(|g| g.contains("KUBECONFIG")));
    let id = show.begin("cat $KUBECONFIG; echo changed >$KUBECONFIG");
    let (output, exit) = show.end(id);
    assert_eq!(output, "ours");
    assert!(exit.guarded.is_some_and(|g| g.contains("kubeconfig")));
    assert_eq!(show.run("cat $KUBECONFIG").0, "ours");
}

#[test]
fn a_flood_of_output_ends_and_leaves_its_last_lines() {
    let mut show = Show::start();
    let (output, status) = show.run("seq 1 300000");
    assert_eq!(status, 0);
    assert!(
        output.ends_with("299999\n300000"),
        "{}",
        output.lines().last().unwrap_or("")
    );
    assert!(output.lines().count() < 600);
}

#[test]
fn messages_are_cut_at_their_fields() {
    let mut buffer = b"READY\x001\0END\x002\x000\x000\0/k\0DIED\x003".to_vec();
    assert_eq!(take_message(&mut buffer).unwrap(), ["READY", "1"]);
    assert_eq!(
        take_message(&mut buffer).unwrap(),
        ["END", "2", "0", "0", "/k"]
    );
    assert_eq!(take_message(&mut buffer), None);
}
