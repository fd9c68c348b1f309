//! Recordings: read back, replayed, and played by the real asciinema.

use footlights::cast;

use crate::harness::{Place, Pty, skipped};

const SCRIPT: &str = "---\ntitle: Casting\ncluster: {profile: workshop}\n---\n# Casting\n\nWords.\n\n## Two\n\n```bash\necho hello\n```\n";

fn record(place: &Place, extra: &[&str]) -> std::path::PathBuf {
    let script = place.home.path().join("x.md");
    std::fs::write(&script, SCRIPT).unwrap();
    let output = place.home.path().join("x.cast");
    let mut args = vec![
        "record",
        script.to_str().unwrap(),
        "-o",
        output.to_str().unwrap(),
    ];
    args.extend(extra);
    place.run(&args).exits(0);
    output
}

#[test]
fn a_cast_has_a_labelled_marker_a_step_and_ends_on_the_last_screen() {
    let place = Place::new();
    let path = record(&place, &["--fast", "--size", "90x28"]);
    let (header, events) = cast::read(&std::fs::read_to_string(&path).unwrap()).unwrap();
    assert_eq!(
        (header["width"].as_u64(), header["height"].as_u64()),
        (Some(90), Some(28))
    );
    assert_eq!(header["title"], "Casting");
    let markers: Vec<&str> = events
        .iter()
        .filter(|e| e.code == "m")
        .map(|e| e.data.as_str())
        .collect();
    assert_eq!(markers, ["Casting", "Two", "1 · echo hello"]);
    assert!(events.windows(2).all(|w| w[0].at <= w[1].at));
    let size = |n| std::num::NonZeroU16::new(n).unwrap();
    let mut screen = vt100::Parser::new(size(28), size(90), 0);
    for event in events.iter().filter(|e| e.code == "o") {
        screen.process(event.data.as_bytes());
    }
    let text = screen.screen().contents();
    assert!(
        text.contains("hello") && text.contains("EMBEDDED"),
        "{text}"
    );
    // Typing and reading take a viewer's time though they took none here.
    assert!(
        events.last().unwrap().at > 3.0,
        "{}",
        events.last().unwrap().at
    );
    let finished = place.run(&["record", "x.md", "-o", path.to_str().unwrap()]);
    assert_eq!(finished.status, Some(2));
}

#[test]
fn the_cast_plays_in_the_real_asciinema() {
    let has_asciinema = std::process::Command::new("asciinema")
        .arg("--version")
        .output()
        .is_ok();
    if !has_asciinema {
        return skipped("a cast in asciinema", "asciinema is not installed");
    }
    let place = Place::new();
    let path = record(&place, &["--fast"]);
    let mut pty = Pty::start(
        &place,
        "asciinema",
        &["cat", path.to_str().unwrap()],
        100,
        30,
    );
    assert_eq!(pty.wait_end(), 0, "{}", pty.text());
    assert!(String::from_utf8_lossy(&pty.raw()).contains("hello"));
}
