//! No IO, no runtime: events in, effects and state out.

mod cluster;

use super::*;
use crate::audience::{Place, Shape};
use crate::script;

fn engine(text: &str, on_failure: OnFailure) -> Engine {
    let script = script::parse("x.md", text);
    assert!(!script.has_errors(), "{:?}", script.diagnostics);
    let settings = Settings {
        on_failure,
        typing: Typing::Instant,
        step_timeout: None,
        grace: GRACE,
    };
    Engine::new(script, Ground::Embedded, Variables::new(), settings)
}

fn at(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// The command that the effects want to be run.
fn running(effects: &[Effect]) -> Option<(Id, String)> {
    effects.iter().find_map(|e| match e {
        Effect::Run { id, command } | Effect::RunIfKnown { id, command } => {
            Some((*id, command.clone()))
        }
        _ => None,
    })
}

fn exit(status: i32) -> Exit {
    Exit {
        status,
        ..Exit::default()
    }
}

const ARTICLE: &str = "# One\n\nhello\n\n## Two\n\n```bash\necho a\necho b\n```\n";

#[test]
fn an_article_is_walked_page_by_page() {
    let mut engine = engine(ARTICLE, OnFailure::GoOn);
    assert!(running(&engine.handle(at(0), Event::Tick)).is_none());
    assert_eq!(engine.state().page.len(), 1);
    assert_eq!(engine.state().steps, 2);
    assert_eq!(engine.state().phase, Phase::Waiting(Wait::Stop));

    engine.handle(at(1000), Event::Intent(Intent::Enter));
    assert_eq!(engine.state().history.len(), 1);
    assert_eq!(engine.state().section.as_deref(), Some("Two"));
    assert_eq!(engine.state().phase, Phase::Waiting(Wait::BeforeCommand));

    let (id, command) = running(&engine.handle(at(2000), Event::Intent(Intent::Next))).unwrap();
    assert_eq!(command, "echo a");
    // Keys are dropped while it runs, and for a moment after it.
    assert!(
        engine
            .handle(at(2100), Event::Intent(Intent::Enter))
            .is_empty()
    );
    engine.handle(at(2200), Event::Exited(id, exit(0)));
    assert!(running(&engine.handle(at(2300), Event::Intent(Intent::Enter))).is_none());
    let (id, _) = running(&engine.handle(at(2600), Event::Intent(Intent::Enter))).unwrap();
    engine.handle(at(2700), Event::Exited(id, exit(3)));
    assert_eq!(engine.state().phase, Phase::Waiting(Wait::End));
    let last = engine.handle(at(3000), Event::Intent(Intent::Enter));
    assert_eq!(last, [Effect::Finish]);
    assert_eq!(engine.state().outcome, Some(Outcome::Finished));
}

#[test]
fn a_failure_ends_an_unattended_show_with_its_place() {
    let mut engine = engine(ARTICLE, OnFailure::Stop);
    engine.handle(at(0), Event::Intent(Intent::Enter));
    let (id, _) = running(&engine.handle(at(500), Event::Intent(Intent::Enter))).unwrap();
    engine.handle(at(600), Event::Exited(id, exit(1)));
    let Some(Outcome::Failed { location, reason }) = &engine.state().outcome else {
        panic!("{:?}", engine.state().outcome);
    };
    assert_eq!((location.line, reason.as_str()), (8, "exit status 1"));
}

#[test]
fn an_expected_exit_status_is_no_failure() {
    let text = "```bash\nfalse\n```\n<!-- @expect exit 1 -->\n```bash\nfalse\n```\n<!-- @expect exit 0 -->\n";
    let mut engine = engine(text, OnFailure::Stop);
    engine.handle(at(0), Event::Tick);
    let (id, _) = running(&engine.handle(at(1), Event::Intent(Intent::Enter))).unwrap();
    engine.handle(at(2), Event::Exited(id, exit(1)));
    assert_eq!(engine.state().results[0].checks[0].holds, Some(true));
    let (id, _) = running(&engine.handle(at(900), Event::Intent(Intent::Enter))).unwrap();
    engine.handle(at(901), Event::Exited(id, exit(1)));
    assert!(
        matches!(&engine.state().outcome, Some(Outcome::Failed { location, .. }) if location.line == 6)
    );
}

#[test]
fn demosh_directives_hide_skip_and_run_at_once() {
    let text = "```bash\necho hidden\n```\n<!-- @SHOW -->\nshown\n<!-- @immed -->\n```bash\necho immed\n```\n\
                <!-- @SKIP -->\n```bash\necho skipped\n```\n<!-- @SHOW -->\n<!-- @nowaitbefore -->\n```bash\necho now\n```\n\
                <!-- @HIDE -->\n<!-- @wait -->\n<!-- @noshow -->\n```bash\necho noshow\n```\n";
    let mut engine = engine(text, OnFailure::GoOn);
    let mut seen = Vec::new();
    let mut effects = engine.handle(at(0), Event::Tick);
    for i in 1..20 {
        while let Some((id, command)) = running(&effects) {
            seen.push(command);
            effects = engine.handle(at(i * 1000), Event::Exited(id, exit(0)));
        }
        if engine.state().phase == Phase::Waiting(Wait::End) {
            break;
        }
        seen.push("wait".to_owned());
        effects = engine.handle(at(i * 1000 + 500), Event::Intent(Intent::Enter));
    }
    assert_eq!(
        seen,
        [
            "echo hidden",
            "echo immed",
            "echo now",
            "wait",
            "echo noshow"
        ]
    );
    assert_eq!(engine.state().steps, 1);
}

#[test]
fn typing_is_finished_by_space_and_run_by_enter() {
    let script = script::parse("x.md", "```bash\necho abc\n```\n");
    let settings = Settings {
        on_failure: OnFailure::GoOn,
        typing: Typing::Human,
        step_timeout: None,
        grace: GRACE,
    };
    for (intent, runs) in [(Intent::Next, false), (Intent::Enter, true)] {
        let mut engine = Engine::new(script.clone(), Ground::Embedded, Variables::new(), settings);
        let effects = engine.handle(at(0), Event::Tick);
        let Some(Effect::Pause { id, .. }) = effects.last() else {
            panic!("{effects:?}");
        };
        engine.handle(at(50), Event::Timer(*id));
        // A timer of the past does nothing.
        engine.handle(at(51), Event::Timer(*id));
        let Block::Command(command) = &engine.state().page[0] else {
            panic!();
        };
        assert_eq!(command.typed, Some(2));
        let effects = engine.handle(at(60), Event::Intent(intent));
        assert_eq!(running(&effects).is_some(), runs);
    }
}

#[test]
fn a_late_command_is_interrupted_then_killed_and_reported() {
    let script = script::parse("x.md", "```bash\nsleep 9\n```\n");
    let settings = Settings {
        on_failure: OnFailure::Stop,
        typing: Typing::Instant,
        step_timeout: Some(Duration::from_secs(5)),
        grace: GRACE,
    };
    let mut engine = Engine::new(script, Ground::Embedded, Variables::new(), settings);
    engine.handle(at(0), Event::Tick);
    let effects = engine.handle(at(1), Event::Intent(Intent::Enter));
    let (run, _) = running(&effects).unwrap();
    let deadline = |effects: &[Effect]| {
        effects.iter().find_map(|e| match e {
            Effect::Deadline { id, .. } => Some(*id),
            _ => None,
        })
    };
    let first = deadline(&effects).unwrap();
    let effects = engine.handle(at(5001), Event::Timer(first));
    assert_eq!(effects[0], Effect::Interrupt(run));
    let effects = engine.handle(at(7001), Event::Timer(deadline(&effects).unwrap()));
    assert_eq!(effects[0], Effect::Kill(run));
    // A shell that tells nothing any more does not hold the show up either.
    engine.handle(at(9001), Event::Timer(deadline(&effects).unwrap()));
    let Some(Outcome::Failed { reason, .. }) = &engine.state().outcome else {
        panic!();
    };
    assert!(reason.contains("longer than 5 s"), "{reason}");
}

#[test]
fn a_command_is_run_once_however_often_enter_is_pressed() {
    let script = script::parse(
        "x.md",
        "<!-- @SHOW -->\n<!-- @nowaitbefore -->\n```bash\necho abc\n```\n",
    );
    let settings = Settings {
        on_failure: OnFailure::GoOn,
        typing: Typing::Human,
        step_timeout: None,
        grace: GRACE,
    };
    let mut engine = Engine::new(script, Ground::Embedded, Variables::new(), settings);
    engine.handle(at(0), Event::Tick);
    let effects = engine.handle(at(500), Event::Intent(Intent::Enter));
    let runs = effects
        .iter()
        .filter(|e| matches!(e, Effect::Run { .. }))
        .count();
    assert_eq!(runs, 1);
}

#[test]
fn errexit_holds_until_it_is_turned_off() {
    let text = "```bash\nset -e\ntrue\nset +e\nfalse\n```\n```bash\nset -e\nfalse\n```\n";
    let mut engine = engine(text, OnFailure::GoOn);
    let mut effects = engine.handle(at(0), Event::Tick);
    for (i, (errexit, status)) in [
        (true, 0),
        (false, 0),
        (false, 0),
        (false, 1),
        (true, 0),
        (false, 1),
    ]
    .into_iter()
    .enumerate()
    {
        let now = at(1000 * (i as u64 + 1));
        assert_eq!(
            engine.state().phase,
            Phase::Waiting(Wait::BeforeCommand),
            "before step {i}"
        );
        effects.extend(engine.handle(now, Event::Intent(Intent::Enter)));
        let (id, _) = running(&effects).unwrap();
        effects = engine.handle(
            now + at(1),
            Event::Exited(
                id,
                Exit {
                    status,
                    errexit,
                    guarded: None,
                    ..Exit::default()
                },
            ),
        );
    }
    assert_eq!(engine.state().phase, Phase::Waiting(Wait::Failure));
}

#[test]
fn quitting_asks_first() {
    let mut engine = engine(ARTICLE, OnFailure::GoOn);
    engine.handle(at(0), Event::Intent(Intent::Quit));
    assert_eq!(engine.state().overlay, Overlay::Quit);
    engine.handle(at(1), Event::Intent(Intent::Close));
    assert_eq!(engine.state().outcome, None);
    engine.handle(at(2), Event::Intent(Intent::Quit));
    let effects = engine.handle(at(3), Event::Intent(Intent::Yes));
    assert_eq!(effects, [Effect::Finish]);
    assert_eq!(engine.state().outcome, Some(Outcome::Quit));
}

#[test]
fn errexit_and_the_guard_stop_a_live_show_too() {
    for exit in [
        Exit {
            status: 1,
            errexit: true,
            guarded: None,
            ..Exit::default()
        },
        Exit {
            status: 0,
            errexit: false,
            guarded: Some("KUBECONFIG was changed".into()),
            ..Exit::default()
        },
    ] {
        let mut engine = engine("```bash\nx\n```\nafter\n", OnFailure::GoOn);
        engine.handle(at(0), Event::Tick);
        let (id, _) = running(&engine.handle(at(1), Event::Intent(Intent::Enter))).unwrap();
        engine.handle(at(2), Event::Exited(id, exit));
        assert_eq!(engine.state().phase, Phase::Waiting(Wait::Failure));
    }
}

/// Presses Enter until a command wants to run; the time goes on by a second a press.
fn enter(engine: &mut Engine, now: &mut u64) -> Vec<Effect> {
    *now += 1000;
    engine.handle(at(*now), Event::Intent(Intent::Enter))
}

fn loaded(main: &str, text: &str) -> Script {
    script::parse(main, text)
}

fn live(script: Script) -> Engine {
    let settings = Settings {
        on_failure: OnFailure::GoOn,
        typing: Typing::Instant,
        step_timeout: None,
        grace: GRACE,
    };
    let variables = Variables::from([("PLACE".to_owned(), "here".to_owned())]);
    Engine::new(script, Ground::Embedded, variables, settings)
}

#[test]
fn what_is_shown_knows_the_variables_and_what_runs_is_as_written() {
    let text = "#@SHOW\n# we are ${PLACE}\necho ${PLACE} ${LATER}\n#@print \"${LATER} ${PLACE}\"\n";
    let mut engine = live(loaded("x.sh", text));
    engine.handle(at(0), Event::Tick);
    let Block::Comment(comment) = &engine.state().page[0] else {
        panic!();
    };
    assert_eq!(comment, "# we are here");
    let mut now = 0;
    let (id, command) = running(&enter(&mut engine, &mut now)).unwrap();
    assert_eq!(command, "echo ${PLACE} ${LATER}");
    assert_eq!(engine.state.command(id).unwrap().text, "echo here ${LATER}");
    let exit = Exit {
        variables: Some(Arc::new(Variables::from([("LATER".into(), "late".into())]))),
        ..Exit::default()
    };
    engine.handle(at(now + 1), Event::Exited(id, exit));
    assert_eq!(
        engine.state().page.last(),
        Some(&Block::Print("late ${PLACE}".into()))
    );
}

#[test]
fn minus_brings_the_step_before_back() {
    let mut engine = live(loaded(
        "x.sh",
        "#@SHOW\necho a\n#@nowaitbefore\necho b\necho c\n",
    ));
    let mut now = 0;
    engine.handle(at(0), Event::Tick);
    engine.handle(at(1), Event::Intent(Intent::Repeat));
    assert_eq!(engine.state().step, 1, "there is nothing earlier");
    let (id, _) = running(&enter(&mut engine, &mut now)).unwrap();
    let (id, b) = running(&engine.handle(at(now + 1), Event::Exited(id, exit(0)))).unwrap();
    assert_eq!(b, "echo b");
    engine.handle(at(now + 2), Event::Exited(id, exit(0)));
    assert_eq!(engine.state().step, 3);
    engine.handle(at(now + 3), Event::Intent(Intent::Repeat));
    // It waits, although it did not the first time.
    assert_eq!(engine.state().phase, Phase::Waiting(Wait::BeforeCommand));
    assert_eq!(engine.state().step, 2);
    engine.handle(at(now + 4), Event::Intent(Intent::Repeat));
    assert_eq!(engine.state().step, 1);
    let (_, a) = running(&enter(&mut engine, &mut now)).unwrap();
    assert_eq!(a, "echo a");
}

#[test]
fn only_enter_runs_a_step_of_danger() {
    let mut engine = live(loaded("x.sh", "#@SHOW\n#@danger\n#@nowaitbefore\nrm x\n"));
    engine.handle(at(0), Event::Tick);
    assert!(running(&engine.handle(at(1000), Event::Intent(Intent::Next))).is_none());
    assert!(running(&engine.handle(at(2000), Event::Intent(Intent::Enter))).is_some());
}

#[test]
fn a_failure_under_errexit_ends_only_its_list() {
    let text = "#@macro m\nfalse\necho no\n#@end\n#@m\necho yes\n";
    for on_failure in [OnFailure::GoOn, OnFailure::Stop] {
        let mut engine = live(loaded("x.sh", text));
        engine.settings.on_failure = on_failure;
        let (id, command) = running(&engine.handle(at(0), Event::Tick)).unwrap();
        assert_eq!(command, "false");
        let failed = Exit {
            status: 1,
            errexit: true,
            ..Exit::default()
        };
        let (id, command) =
            running(&engine.handle(at(1), Event::Exited(id, failed.clone()))).unwrap();
        assert_eq!(command, "echo yes");
        engine.handle(at(2), Event::Exited(id, failed));
        match on_failure {
            OnFailure::GoOn => assert_eq!(engine.state().phase, Phase::Waiting(Wait::Failure)),
            _ => assert!(matches!(
                engine.state().outcome,
                Some(Outcome::Failed { .. })
            )),
        }
    }
}

#[test]
fn a_nested_script_has_its_own_state_and_ends_with_0() {
    let mut engine = live(loaded(
        "x.sh",
        "#@SHOW\nset -e\n#@immed\n$SHELL y.sh ${A}\necho ${PLACE}\n",
    ));
    let mut now = 0;
    engine.handle(at(0), Event::Tick);
    let (id, _) = running(&enter(&mut engine, &mut now)).unwrap();
    let on = Exit {
        errexit: true,
        ..Exit::default()
    };
    let effects = engine.handle(at(now + 1), Event::Exited(id, on));
    let [.., Effect::Expand { id, words }] = &effects[..] else {
        panic!("{effects:?}");
    };
    assert_eq!(words, "y.sh ${A}");
    let id = *id;
    assert_eq!(
        engine.handle(at(now + 2), Event::Exited(id, exit(0))),
        [Effect::Nest { id }]
    );
    let nested = Nested {
        script: Arc::new(loaded(
            "y.sh",
            "# hidden\nfalse\n#@SHOW\n# ${PLACE}\nfalse\necho never\n",
        )),
        variables: Arc::new(Variables::from([("PLACE".into(), "there".into())])),
    };
    let effects = engine.handle(at(now + 3), Event::Nested(id, Ok(nested)));
    // Neither `set -e` nor SHOW is inherited.
    let (id, _) = running(&effects).unwrap();
    engine.handle(at(now + 4), Event::Exited(id, exit(1)));
    assert!(
        engine
            .state()
            .page
            .contains(&Block::Comment("# there".into()))
    );
    let (id, _) = running(&enter(&mut engine, &mut now)).unwrap();
    let failed = Exit {
        status: 1,
        errexit: true,
        ..Exit::default()
    };
    let effects = engine.handle(at(now + 1), Event::Exited(id, failed));
    assert!(effects.contains(&Effect::LeaveNested));
    let last = engine.state().results.last().unwrap();
    assert_eq!((last.status, last.text.as_str()), (0, "$SHELL y.sh ${A}"));
    assert_eq!(engine.state().phase, Phase::Waiting(Wait::BeforeCommand));
    let id = engine.current.as_ref().unwrap().id;
    assert_eq!(engine.state.command(id).unwrap().text, "echo here");
}

#[test]
fn a_nested_script_that_cannot_be_read_is_a_failed_step() {
    let mut engine = live(loaded("x.sh", "$SHELL y.sh\n"));
    engine.settings.on_failure = OnFailure::Stop;
    let effects = engine.handle(at(0), Event::Tick);
    let Some(Effect::Expand { id, .. }) = effects.last() else {
        panic!("{effects:?}");
    };
    let id = *id;
    engine.handle(at(1), Event::Exited(id, exit(0)));
    engine.handle(at(2), Event::Nested(id, Err("no such file".into())));
    assert!(matches!(
        engine.state().outcome,
        Some(Outcome::Failed { .. })
    ));
}

#[test]
fn timeouts_and_failures_that_are_fine() {
    let text =
        "#@mayfail\nfalse\n#@show_5\n#@timeout 1s\n#@mayfail\nsleep 9\n#@timeout 1s\nsleep 9\n";
    let mut engine = live(loaded("x.sh", text));
    engine.settings.on_failure = OnFailure::Stop;
    let (id, _) = running(&engine.handle(at(0), Event::Tick)).unwrap();
    let (id, hook) = running(&engine.handle(at(1), Event::Exited(id, exit(1)))).unwrap();
    assert_eq!(hook, "show_5");
    let mut effects = engine.handle(at(2), Event::Exited(id, exit(127)));
    for reason in [None, Some("it ran longer than 1 s (@timeout)")] {
        let (id, _) = running(&effects).unwrap();
        let deadline = effects.iter().find_map(|e| match e {
            Effect::Deadline { id, length } if *length == at(1000) => Some(*id),
            _ => None,
        });
        let interrupts = engine.handle(at(1003), Event::Timer(deadline.unwrap()));
        assert!(interrupts.contains(&Effect::Interrupt(id)));
        effects = engine.handle(at(1004), Event::Exited(id, exit(130)));
        let result = engine.state().results.last().unwrap();
        assert_eq!(result.failed.as_deref(), reason);
    }
}

#[test]
fn what_an_unseen_command_writes_is_seen() {
    let mut engine = live(loaded("x.sh", "cd /\n#@SHOW\n#@immed\necho out\n#@wait\n"));
    let (id, _) = running(&engine.handle(at(0), Event::Tick)).unwrap();
    let (id, _) = running(&engine.handle(at(1), Event::Exited(id, exit(0)))).unwrap();
    let output = crate::terminal::Frame {
        lines: vec!["out".into()],
        ..crate::terminal::Frame::default()
    };
    engine.handle(at(2), Event::Output(id, Arc::new(output)));
    engine.handle(at(3), Event::Exited(id, exit(0)));
    let page: Vec<&Block> = engine
        .state()
        .page
        .iter()
        .filter(|b| !b.is_empty())
        .collect();
    let [Block::Command(command)] = page[..] else {
        panic!("{page:?}");
    };
    assert_eq!(command.seen, Visible::Output);
    assert_eq!(engine.state().step, 0, "nobody counts it");
}

#[test]
fn a_page_longer_than_the_screen_is_read_from_its_top() {
    let mut engine = live(loaded("x.md", "# One\n\nlong\n\n## Two\n\nb\n"));
    let above = |rows| {
        Event::Shown(Above {
            rows,
            height: 10,
            fresh: rows + 10,
        })
    };
    engine.handle(at(0), Event::Tick);
    engine.handle(at(1), above(15));
    assert_eq!(engine.state().scrolled, 15);
    engine.handle(at(2), Event::Intent(Intent::Next));
    engine.handle(at(3), Event::Intent(Intent::Next));
    assert_eq!(engine.state().scrolled, 0);
    engine.handle(at(4), Event::Intent(Intent::Next));
    assert_eq!(engine.state().section.as_deref(), Some("Two"));
    engine.handle(at(5), above(0));
    assert_eq!(engine.state().scrolled, 0);
    // Back: to the page before, and up in it.
    engine.handle(at(6), Event::Intent(Intent::LookBack));
    assert_eq!(
        (engine.state().looking_back, engine.state().scrolled),
        (1, 0)
    );
    engine.handle(at(7), above(15));
    engine.handle(at(8), Event::Intent(Intent::LookBack));
    assert_eq!(
        (engine.state().looking_back, engine.state().scrolled),
        (1, 9)
    );
}
