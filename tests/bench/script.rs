//! Reading scripts of 10 MB, and what a step costs.

use std::time::{Duration, Instant};

use footlights::script;

const SIZE: usize = 10 << 20;

/// Prints the rows.
pub fn rows() {
    let article = "# Heading\n\nSome words of prose, with `code`.\n\n```bash\nkubectl get pods -A \\\n  -o wide\n\
                   for i in 1 2; do\n  echo \"$i\"\ndone\n```\n\n";
    let demosh = "<!-- @SHOW -->\nprose ${VAR}\n<!-- @wait_clear -->\n```bash\n#@immed\nX=$(date)\n#@show_5\n```\n";
    for (what, file, text) in [
        ("an article", "x.md", article.repeat(SIZE / article.len())),
        (
            "a demosh script",
            "x.md",
            demosh.repeat(SIZE / demosh.len()),
        ),
        ("headings only", "x.md", "## H\n".repeat(SIZE / 5)),
        (
            "one heredoc",
            "x.sh",
            format!("cat <<EOF\n{}EOF\n", "a line\n".repeat(SIZE / 7)),
        ),
        (
            "one open quote",
            "x.sh",
            format!("echo '{}", "a line\n".repeat(SIZE / 7)),
        ),
        ("unclosed macros", "x.sh", "#@macro m\n".repeat(SIZE / 10)),
        ("nested brackets", "x.sh", "$((".repeat(SIZE / 3)),
        ("open fences", "x.md", "```bash\n".repeat(SIZE / 8)),
        ("unknown directives", "x.sh", unknown()),
    ] {
        let before = peak();
        let start = Instant::now();
        let read = script::parse(file, &text);
        let took = start.elapsed();
        let grown = peak().saturating_sub(before) as f64 / text.len() as f64;
        println!(
            "{:<60} {:>8.2} s   {} elements, memory grew by {grown:.0} times its size at most",
            format!("10 MB script read: {what}"),
            took.as_secs_f64(),
            read.elements.len(),
        );
    }
    let (none, some) = (rehearsed(1), rehearsed(301));
    println!(
        "{:<60} {:>8.2} ms",
        "a step that does nothing, rehearsed",
        some.saturating_sub(none).as_secs_f64() * 1e3 / 300.0
    );
}

fn unknown() -> String {
    (0..SIZE / 16)
        .map(|n| format!("#@unknown{n:06}\n"))
        .collect()
}

/// The most memory that this process has had since it was last asked, in bytes. On Linux; else 0.
fn peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    // Writing 5 makes the kernel begin anew (proc(5)).
    let _ = std::fs::write("/proc/self/clear_refs", "5");
    let line = status.lines().find(|l| l.starts_with("VmHWM:"));
    let kilobytes = line.and_then(|l| l.split_whitespace().nth(1)?.parse::<usize>().ok());
    kilobytes.unwrap_or(0) * 1024
}

/// The time to rehearse a script of this many steps.
fn rehearsed(steps: usize) -> Duration {
    let file = tempfile::Builder::new().suffix(".sh").tempfile().unwrap();
    std::fs::write(file.path(), "true\n".repeat(steps)).unwrap();
    let start = Instant::now();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_footlights"))
        .args(["rehearse".as_ref(), file.path()])
        .output()
        .unwrap();
    assert!(output.status.success());
    start.elapsed()
}
