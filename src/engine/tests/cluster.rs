//! What a step expects of its output and of the cluster, what it applies, and what the grid shows.

use super::*;

fn wrote(engine: &mut Engine, id: Id, rows: &[&str], wrapped: &[bool]) {
    let output = crate::terminal::Frame {
        lines: rows.iter().map(|row| (*row).to_owned().into()).collect(),
        wrapped: wrapped.to_vec(),
        ..crate::terminal::Frame::default()
    };
    engine.handle(at(2), Event::Output(id, Arc::new(output)));
}

#[test]
fn output_is_expected_of_whole_lines() {
    for (claim, holds, observed) in [
        ("output /one two/", true, "`one two` is there"),
        ("output /^three$/", true, "`three` is there"),
        ("output /four/", false, "it wrote `one two …`"),
    ] {
        let text = format!("```bash\nx\n```\n<!-- @expect {claim} -->\n");
        let mut engine = engine(&text, OnFailure::Stop);
        engine.handle(at(0), Event::Tick);
        let (id, _) = running(&engine.handle(at(1), Event::Intent(Intent::Enter))).unwrap();
        wrote(
            &mut engine,
            id,
            &["one ", "two", "three"],
            &[true, false, false],
        );
        engine.handle(at(3), Event::Exited(id, exit(0)));
        let check = &engine.state().results[0].checks[0];
        assert_eq!((check.holds, &*check.observed), (Some(holds), observed));
    }
}

#[test]
fn a_condition_is_waited_for_until_its_time_is_up() {
    let text = "```bash\nx\n```\n<!-- @expect condition gateway/ingress Programmed within 3s -->\n";
    for comes in [true, false] {
        let mut engine = engine(text, OnFailure::Stop);
        engine.handle(at(0), Event::Tick);
        let (id, _) = running(&engine.handle(at(1), Event::Intent(Intent::Enter))).unwrap();
        let effects = engine.handle(at(10), Event::Exited(id, exit(0)));
        let [
            Effect::WatchObject { id: watch, .. },
            Effect::Deadline { id: timer, .. },
        ] = effects[..]
        else {
            panic!("{effects:?}");
        };
        let object = |status: &str| {
            Ok(Some(serde_json::json!({"status": {"conditions":
                [{"type": "Programmed", "status": status}]}})))
        };
        engine.handle(at(20), Event::Object(watch, Ok(None)));
        engine.handle(at(30), Event::Object(watch + 100, object("True")));
        engine.handle(at(40), Event::Object(watch, object("False")));
        assert_eq!(engine.state().phase, Phase::Judging { id: watch });
        let effects = match comes {
            true => engine.handle(at(50), Event::Object(watch, object("True"))),
            false => engine.handle(at(3010), Event::Timer(timer)),
        };
        assert!(effects.contains(&Effect::StopProbe(watch)), "{effects:?}");
        let check = &engine.state().results[0].checks[0];
        let told = if comes {
            "Programmed=True"
        } else {
            "Programmed=False"
        };
        assert_eq!((check.holds, &*check.observed), (Some(comes), told));
    }
}

#[test]
fn a_manifest_is_predicted_shown_and_applied() {
    let yaml = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n";
    let text =
        format!("<!-- @apply -->\n```yaml\n{yaml}```\nafter\n<!-- @apply ${{PLACE}}.yaml -->\n");
    let mut engine = live(loaded("x.md", &text));
    let effects = engine.handle(at(0), Event::Tick);
    let Some(Effect::PredictApply { id, manifest }) = effects.last() else {
        panic!("{effects:?}");
    };
    assert!(matches!(manifest, script::Manifest::Fence { yaml: y, line: 3, .. } if y == yaml));
    let [Block::Prose(fence), Block::Command(command)] = &engine.state().page[..] else {
        panic!("{:?}", engine.state().page);
    };
    assert_eq!(*fence, format!("```yaml\n{yaml}```\n"));
    assert_eq!(
        (&*command.text, command.by),
        ("apply ConfigMap a", By::Footlights)
    );
    let id = *id;
    let effects = engine.handle(at(1000), Event::Intent(Intent::Enter));
    assert!(matches!(&effects[0], Effect::Apply { id: applied, .. } if *applied == id));
    let effects = engine.handle(at(1001), Event::Exited(id, exit(0)));
    let file = script::Manifest::File("here.yaml".into());
    assert!(
        matches!(effects.last(), Some(Effect::PredictApply { manifest, .. }) if *manifest == file)
    );
    assert_eq!(engine.state().page[2], Block::Prose("after\n".into()));
}

#[test]
fn front_matter_and_directives_say_what_the_grid_asks_for() {
    let text = "---\ngrid: {rows: 6, cols: 3, users: [\"-\", heart]}\n---\n\
        <!-- @grid rate=20 -->\n<!-- @grid rows=5 -->\n```bash\ntrue\n```\n";
    let mut engine = engine(text, OnFailure::Stop);
    let asked: Vec<(usize, usize, usize, Option<u16>)> = engine
        .handle(at(0), Event::Tick)
        .into_iter()
        .filter_map(|effect| match effect {
            Effect::Grid(Polling { users, shape, rate }) => {
                Some((users.len(), shape.rows, shape.columns, rate))
            }
            _ => None,
        })
        .collect();
    let rate = Some(20);
    assert_eq!(asked, [(2, 6, 3, None), (2, 6, 3, rate), (2, 5, 3, rate)]);
    let (rows, columns) = (5, 3);
    let shapes: Vec<Shape> = engine
        .state()
        .users
        .iter()
        .map(|u| u.grid.shape())
        .collect();
    assert_eq!(shapes, [Shape { rows, columns }; 2]);
}

#[test]
fn the_grid_shows_the_users_that_are_named() {
    let text = "#@SHOW\n#@grid users=-,heart\n#@wait\n#@grid hide\n";
    let mut engine = live(loaded("x.sh", text));
    let effects = engine.handle(at(0), Event::Tick);
    let polling = Polling {
        users: vec![None, Some("heart".into())],
        ..Polling::default()
    };
    assert_eq!(effects, [Effect::Grid(polling)]);
    assert_eq!(engine.state().users.len(), 2);
    let sample = |user: Option<&str>| Sample {
        number: 0,
        user: user.map(Into::into),
        started: at(1),
        ended: at(2),
        row: 0,
        column: 0,
        place: Place::Edge,
        pod: None,
        reply: crate::audience::Reply::Unreachable,
    };
    for user in [Some("heart"), Some("nobody")] {
        engine.handle(at(2), Event::Sampled(sample(user)));
    }
    let counts: Vec<usize> = engine
        .state()
        .users
        .iter()
        .map(|u| u.tally.shares(at(3)).n)
        .collect();
    assert_eq!(counts, [0, 1]);
    engine.handle(at(3), Event::Gateway("http://x".into()));
    engine.handle(at(1000), Event::Intent(Intent::Enter));
    assert_eq!(engine.state().traffic, Traffic::Hidden);
}
