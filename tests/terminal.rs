//! The real binary in a real terminal.

use footlights::theme::Theme;
use footlights::view::View;

use crate::harness::{BINARY, Place, Pty, wait_until};

const BLUE: (u8, u8, u8) = (0x66, 0xCC, 0xEE);
const HEART: (u8, u8, u8) = (0xE2, 0x20, 0x46);

fn cells(pty: &Pty, (r, g, b): (u8, u8, u8)) -> usize {
    pty.count_color(r, g, b)
}

#[track_caller]
fn wait_cells(pty: &Pty, what: &str, color: (u8, u8, u8), least: usize) {
    wait_until(
        what,
        || (cells(pty, color) >= least).then_some(()),
        || format!("{} cells\n{}", cells(pty, color), pty.text()),
    );
}

fn is_restored(pty: &Pty) -> bool {
    let raw = pty.raw();
    let last = |needle: &[u8]| raw.windows(needle.len()).rposition(|w| w == needle);
    // Alternate screen left after it was entered, and the cursor shown.
    last(b"\x1b[?1049l") > last(b"\x1b[?1049h") && last(b"\x1b[?25h") >= last(b"\x1b[?25l")
}

fn same_modes(a: &rustix::termios::Termios, b: &rustix::termios::Termios) -> bool {
    (a.input_modes, a.output_modes, a.local_modes) == (b.input_modes, b.output_modes, b.local_modes)
}

#[test]
fn the_first_screen_and_a_canary_by_the_third_enter() {
    let place = Place::new();
    let mut pty = Pty::start(&place, BINARY, &[], 80, 24);
    let before = pty.modes();
    pty.wait_for("The first canary");
    for text in [
        "step 1 of 8",
        "EMBEDDED",
        "Every face is one request",
        "Enter next · ? help · q quit",
        "your own clusters are not used",
    ] {
        pty.wait_for(text);
    }
    pty.wait_for("http://127.0.0.1");
    // Sixteen cells of 8×4; some may be fading at any moment.
    wait_cells(&pty, "grinning faces on blue", BLUE, 16 * 12);
    assert_eq!(cells(&pty, HEART), 0);

    pty.send("\r");
    pty.wait_for("One face in ten");
    pty.wait_for("creates HTTPRoute faces/smiley-canary");
    pty.send("\r\r");
    pty.wait_for("created");
    wait_cells(&pty, "the first heart eyes", HEART, 2);
    pty.wait_for(" n=");

    pty.send("?");
    pty.wait_for("look back");
    pty.send("x");
    pty.send("q");
    pty.wait_for("Quit?");
    pty.send("n");
    wait_until(
        "the question's end",
        || (!pty.text().contains("Quit?")).then_some(()),
        || pty.text(),
    );
    pty.send("z");
    wait_until(
        "the grid alone",
        || (!pty.text().contains("One face in ten\n")).then_some(()),
        || pty.text(),
    );
    pty.send("qy");
    assert_eq!(pty.wait_end(), 0);
    assert!(is_restored(&pty));
    assert!(same_modes(&before, &pty.modes()));
    assert_eq!(place.left_behind(), [""; 0]);
}

#[test]
fn the_terminal_is_restored_after_sigterm_and_nothing_runs_on() {
    let place = Place::new();
    let script = place.home.path().join("x.md");
    let marker = format!("86399.{}", std::process::id());
    std::fs::write(&script, format!("```bash\nsleep {marker}\n```\n")).unwrap();
    let mut pty = Pty::start(
        &place,
        BINARY,
        &["--no-typing", script.to_str().unwrap()],
        100,
        30,
    );
    let before = pty.modes();
    pty.wait_for("Enter runs it");
    pty.send("\r");
    pty.wait_for("running 0:0");
    let pid = rustix::process::Pid::from_raw(pty.child.id().cast_signed()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    pty.wait_end();
    assert!(is_restored(&pty));
    assert!(same_modes(&before, &pty.modes()));
    let alive = std::fs::read_dir("/proc").unwrap().flatten().any(|entry| {
        std::fs::read(entry.path().join("cmdline")).unwrap_or_default()
            == format!("sleep\0{marker}\0").as_bytes()
    });
    assert!(!alive, "the command runs on");
    assert_eq!(place.left_behind(), [""; 0]);
}

/// Run by the next test in a PTY of its own; by itself it does nothing.
#[test]
fn panics_in_a_show() {
    if std::env::var_os("FOOTLIGHTS_TEST_PANIC").is_some() {
        let view = View::new(Theme::named("dark").unwrap());
        let _screen = footlights::mode::present::Screen::open(view).unwrap();
        panic!("on stage");
    }
}

#[test]
fn the_terminal_is_restored_after_a_panic() {
    let place = Place::new();
    let own = std::env::current_exe().unwrap();
    let line = format!(
        "FOOTLIGHTS_TEST_PANIC=1 {} --exact terminal::panics_in_a_show --nocapture",
        own.display()
    );
    let mut pty = Pty::start(&place, "sh", &["-c", &line], 80, 24);
    let before = pty.modes();
    assert_ne!(pty.wait_end(), 0);
    assert!(is_restored(&pty));
    assert!(same_modes(&before, &pty.modes()));
    assert!(String::from_utf8_lossy(&pty.raw()).contains("on stage"));
}

/// Presses Enter until a text is there. An advance right after a command's end is dropped and renews
/// its grace, so it is sent again only after that; and only while it can mean nothing but this.
#[track_caller]
fn press(pty: &Pty, until: &str) {
    let mut sent: Option<std::time::Instant> = None;
    let pressed = || {
        let text = pty.text();
        let is_due = sent.is_none_or(|at| at.elapsed() > 3 * footlights::engine::GRACE);
        if is_due && text.contains("Enter runs it") {
            pty.send("\r");
            sent = Some(std::time::Instant::now());
        }
        text.contains(until).then_some(())
    };
    wait_until(until, pressed, || pty.text());
}

#[test]
fn commands_can_be_typed_into_interrupted_and_resized() {
    let place = Place::new();
    let script = place.home.path().join("x.md");
    std::fs::write(
        &script,
        "```bash\nread -r answer && echo \"got $answer\"\nwhile true; do sleep 0.1; done\nstty size\n```\n",
    )
    .unwrap();
    let pty = Pty::start(
        &place,
        BINARY,
        &["--no-typing", script.to_str().unwrap()],
        100,
        30,
    );
    pty.wait_for("Enter runs it");
    pty.send("\r");
    pty.wait_for("^] types into it");
    pty.send("\x1d");
    pty.wait_for("keys go to the program");
    pty.send("qqq\r");
    pty.wait_for("got qqq");
    press(&pty, "running 0:0");
    pty.send("\x03");
    pty.wait_for("exit status 130");
    pty.resize(120, 40);
    pty.wait_for("stty size");
    press(&pty, "the end");
    // Without a Gateway the stage is as wide as the screen, but for its margins.
    let parts = footlights::view::with_grids(
        ratatui::layout::Rect::new(0, 0, 120, 40),
        &[footlights::audience::UserTraffic::default()],
    );
    pty.wait_for(&format!("{} {}", parts.footer.y - parts.stage.y, 120 - 2));
}

#[test]
fn a_nested_script_plays_on_the_same_stage_and_ends_with_the_show() {
    let place = Place::new();
    let marker = format!("86398.{}", std::process::id());
    let write =
        |name: &str, text: &str| std::fs::write(place.home.path().join(name), text).unwrap();
    write(
        "outer.md",
        "<!-- @SHOW -->\n# Outside\n```bash\nWHO=you\ncd ~\n#@immed\n$SHELL inner.md \"$WHO\"\n```\n",
    );
    write(
        "inner.md",
        &format!("hidden\n<!-- @SHOW -->\nInside, for ${{1}}.\n```bash\nsleep {marker}\n```\n"),
    );
    let script = place.home.path().join("outer.md");
    let args = ["--no-typing", script.to_str().unwrap()];
    let mut pty = Pty::start(&place, BINARY, &args, 100, 30);
    press(&pty, "Inside, for you.");
    pty.wait_for("Outside");
    assert!(!pty.text().contains("hidden"), "{}", pty.text());
    pty.wait_for("step 3 of 3");
    press(&pty, "running 0:0");
    pty.send("\x03");
    pty.wait_for("exit status 130");
    // Back to the step, in the nested script's own shell; then the show is ended in the middle of it.
    pty.send("-");
    press(&pty, "running 0:0");
    let pid = rustix::process::Pid::from_raw(pty.child.id().cast_signed()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::HUP).unwrap();
    pty.wait_end();
    let alive = std::fs::read_dir("/proc").unwrap().flatten().any(|entry| {
        std::fs::read(entry.path().join("cmdline")).unwrap_or_default()
            == format!("sleep\0{marker}\0").as_bytes()
    });
    assert!(!alive, "the command runs on");
    assert_eq!(place.left_behind(), [""; 0]);
}
