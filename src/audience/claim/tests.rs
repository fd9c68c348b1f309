//! Claims judged on answers that are made up.

use super::*;
use crate::audience::{Place, Smiley};
use crate::script::expect::{self, Claim};

fn face(smiley: Smiley) -> Reply {
    Reply::Answer {
        status: 200,
        body: Body::Face {
            smiley: Some(Glyph::Face(smiley)),
            color: Some("#66CCEE".into()),
            soft_errors: false,
        },
    }
}

fn sample(number: u64, reply: Reply, at: Duration) -> Sample {
    Sample {
        number,
        user: None,
        started: at,
        ended: at,
        row: 0,
        column: 0,
        place: Place::Edge,
        pod: Some("face-7d9f-abcde".into()),
        reply,
    }
}

fn begun(claim: &str) -> Judge {
    match expect::parse(claim).unwrap().claim {
        Claim::Traffic(traffic, scope) => Judge::new(&traffic, &scope, Duration::ZERO),
        other => panic!("{claim}: {other:?}"),
    }
}

/// Judges a claim on answers, 300 a second.
fn judged(claim: &str, mut answer: impl FnMut(u64) -> (Reply, Duration)) -> Judge {
    let mut judge = begun(claim);
    for number in 0.. {
        let at = Duration::from_micros(number * 3_333);
        let (reply, took) = answer(number);
        let mut sample = sample(number, reply, at);
        sample.ended += took;
        judge.take(&sample);
        if judge.standing() != Standing::Open {
            break;
        }
    }
    judge
}

/// Hearts with a share that may depend on the answer's number.
fn hearts(claim: &str, share: impl Fn(u64) -> f64, random: &mut fastrand::Rng) -> Judge {
    judged(claim, |number| {
        let smiley = match random.f64() < share(number) {
            true => Smiley::HeartEyes,
            false => Smiley::Grinning,
        };
        (face(smiley), Duration::ZERO)
    })
}

#[test]
fn false_failures_are_rare_and_a_share_15_points_off_is_seen() {
    let mut random = fastrand::Rng::with_seed(42);
    for percent in [10, 50, 90] {
        let claim = format!("share smiley=HeartEyes {percent}% ±5");
        let truth = f64::from(percent) / 100.0;
        for _ in 0..2_000 {
            let judged = hearts(&claim, |_| truth, &mut random);
            assert_eq!(judged.standing(), Standing::Holds, "{:?}", judged.seen());
        }
        for moved in [truth - 0.15, truth + 0.15] {
            for _ in 0..200 {
                let judged = hearts(&claim, |_| moved.clamp(0.0, 1.0), &mut random);
                let outside = (0.0..=1.0).contains(&moved);
                assert!(!outside || judged.standing() == Standing::Fails, "{moved}");
            }
        }
    }
}

#[test]
fn the_border_of_the_tolerance_still_holds() {
    let mut random = fastrand::Rng::with_seed(1);
    for truth in [0.05, 0.15] {
        for _ in 0..300 {
            let judged = hearts("share smiley=HeartEyes 10% ±5", |_| truth, &mut random);
            assert_eq!(judged.standing(), Standing::Holds, "at {truth}");
        }
    }
}

#[test]
fn a_change_that_is_still_on_its_way_is_waited_for() {
    let mut random = fastrand::Rng::with_seed(2);
    let late = |i: u64| if i < 1_000 { 0.0 } else { 0.5 };
    let judged = hearts("share smiley=HeartEyes 50% ±5", late, &mut random);
    assert_eq!(judged.standing(), Standing::Holds);
    let late = |i: u64| if i < 500 { 0.3 } else { 1.0 };
    let judged = hearts("all smiley=HeartEyes within 10s", late, &mut random);
    assert_eq!(judged.standing(), Standing::Holds);
    let n = judged.seen().unwrap().n;
    assert!((60..160).contains(&n), "{n}");
}

#[test]
fn all_and_none_fail_when_their_time_is_up() {
    let mut random = fastrand::Rng::with_seed(3);
    for claim in [
        "all smiley=HeartEyes within 10s",
        "none smiley=Grinning within 10s",
    ] {
        let judged = hearts(claim, |_| 0.85, &mut random);
        assert_eq!(judged.standing(), Standing::Fails, "{claim}");
    }
}

#[test]
fn none_wants_faces_and_says_what_share_was_seen() {
    let judge = hearts(
        "none smiley=Grinning",
        |_| 1.0,
        &mut fastrand::Rng::with_seed(4),
    );
    assert_eq!(judge.standing(), Standing::Holds);
    assert_eq!(judge.seen().unwrap().value, 0.0);
    let closed = |_| (Reply::Unreachable, Duration::ZERO);
    let judge = judged("none smiley=Grinning within 2s", closed);
    assert_eq!((judge.standing(), judge.seen()), (Standing::Fails, None));
}

#[test]
fn errors_statuses_and_times_are_judged() {
    let status = |status| Reply::Answer {
        status,
        body: Body::Unreadable,
    };
    let cursing = Reply::Answer {
        status: 200,
        body: Body::Face {
            smiley: Some(Glyph::Face(Smiley::Cursing)),
            color: None,
            soft_errors: true,
        },
    };
    let good = face(Smiley::Grinning);
    // Each with 5 of 9 answers like the first, the others good, all in 20 ms but those in 500.
    for (reply, slow, claim, standing) in [
        (status(504), 20, "status 504 56% ±5", Standing::Holds),
        (status(503), 20, "status 504 56% ±5", Standing::Fails),
        (good.clone(), 20, "errors < 1%", Standing::Holds),
        (cursing, 20, "errors < 10%", Standing::Fails),
        (status(504), 20, "errors < 10%", Standing::Fails),
        (Reply::Unreachable, 20, "errors < 10%", Standing::Fails),
        (good.clone(), 20, "latency p95 < 300ms", Standing::Holds),
        (good.clone(), 500, "latency p95 < 300ms", Standing::Fails),
        (good.clone(), 500, "latency p40 < 300ms", Standing::Holds),
    ] {
        let mut random = fastrand::Rng::with_seed(5);
        let judge = judged(claim, |_| match random.u8(0..9) {
            0..5 => (reply.clone(), Duration::from_millis(slow)),
            _ => (good.clone(), Duration::from_millis(20)),
        });
        assert_eq!(judge.standing(), standing, "{claim}: {:?}", judge.seen());
    }
}

#[test]
fn a_gateway_that_says_nothing_proves_nothing() {
    let dead = |_| (Reply::Unreachable, Duration::ZERO);
    let missing = |_| {
        let body = Body::Unreadable;
        (Reply::Answer { status: 404, body }, Duration::ZERO)
    };
    let nameless = |_| {
        let body = Body::Face {
            smiley: None,
            color: Some("blue".into()),
            soft_errors: false,
        };
        (Reply::Answer { status: 200, body }, Duration::ZERO)
    };
    for claim in [
        "share smiley=HeartEyes 0% ±5 within 5s",
        "share smiley=HeartEyes 4% ±5 within 5s",
        "none smiley=HeartEyes within 5s",
    ] {
        for judge in [
            judged(claim, dead),
            judged(claim, missing),
            judged(claim, nameless),
        ] {
            assert_eq!(judge.standing(), Standing::Fails, "{claim}");
            assert_eq!(judge.seen(), None, "{claim}");
        }
    }
    let judge = judged("status 504 0% ±5 within 5s", dead);
    assert_eq!(judge.standing(), Standing::Fails);
    // What was silent before the first face does not count for it.
    let late = judged(
        "share smiley=HeartEyes 0% ±5 within 20s",
        |number| match number {
            0..1_000 => dead(number),
            number if number % 2 == 0 => (face(Smiley::HeartEyes), Duration::ZERO),
            _ => (face(Smiley::Grinning), Duration::ZERO),
        },
    );
    assert_eq!(late.standing(), Standing::Fails);
}

#[test]
fn a_quantile_is_told_with_its_interval() {
    let times: Vec<Duration> = (1..=1000).map(Duration::from_millis).collect();
    let seen = times_seen(&times, 0.95);
    assert_eq!((seen.value, seen.n), (950.0, 1000));
    // 950 ± 1.96 · √(1000 · 0.95 · 0.05), and the ranks around.
    assert_eq!((seen.low, seen.high), (936.0, 965.0));
    assert_eq!(
        seen.to_string(),
        "950 ms seen, 95 % interval 936 to 965 ms, n=1000"
    );
    assert_eq!(times_seen(&times[..1], 0.5).high, 1.0);
}

#[test]
fn quick_answers_do_not_count_before_slow_ones() {
    let mut judge = begun("all smiley=HeartEyes");
    let heart = || face(Smiley::HeartEyes);
    for number in 1..=200 {
        judge.take(&sample(number, heart(), Duration::ZERO));
    }
    assert_eq!(judge.seen(), None);
    let late = sample(0, face(Smiley::Grinning), Duration::from_millis(1500));
    judge.take(&late);
    assert_eq!(judge.standing(), Standing::Holds);
}

#[test]
fn errors_other_looks_and_other_pods_are_misses() {
    let seen = sample(0, face(Smiley::HeartEyes), Duration::ZERO);
    for (look, fits) in [
        ("smiley=HeartEyes,color=blue", true),
        ("smiley=HeartEyes,color=green", false),
        ("pod=face", true),
        ("pod=face-7d9f-abcde", true),
        ("pod=fac", false),
        ("pod=smiley", false),
    ] {
        let (claim, _) = match expect::parse(&format!("all {look}")).unwrap().claim {
            Claim::Traffic(claim, scope) => (claim, scope),
            other => panic!("{other:?}"),
        };
        assert_eq!(is_hit(&claim, &seen), Some(fits), "{look}");
        let nobody = sample(0, Reply::Unreachable, Duration::ZERO);
        assert_eq!(is_hit(&claim, &nobody), Some(false), "{look}");
    }
}

#[test]
fn only_answers_of_the_claimed_cells_count() {
    let mut judge = begun("all smiley=HeartEyes cells=center");
    for number in 0..240 {
        let inner = number % 4 == 0;
        let smiley = if inner {
            Smiley::HeartEyes
        } else {
            Smiley::Grinning
        };
        let mut sample = sample(number, face(smiley), Duration::ZERO);
        sample.place = if inner { Place::Center } else { Place::Edge };
        judge.take(&sample);
    }
    assert_eq!(judge.standing(), Standing::Holds);
    assert_eq!(judge.seen().unwrap().n, 60);
}
