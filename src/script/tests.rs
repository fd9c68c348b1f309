//! Scripts as text, elements as they come out.

use super::*;
use std::sync::Arc;

fn elements(file: &str, text: &str) -> Vec<String> {
    let script = parse(file, text);
    script
        .elements
        .iter()
        .map(|p| {
            let what = match &p.element {
                Element::Prose(t) => format!("prose {:?}", t.trim()),
                Element::Comment(t) => format!("comment {t}"),
                Element::Command(c) if c.role == Role::Bash => format!("command {}", c.text),
                Element::Command(c) => format!("{:?} {}", c.role, c.text),
                Element::Directive(d) => format!("{d:?}"),
                Element::IfHook { name, body } => format!("ifhook {name} {}", body.len()),
            };
            format!("{} {what}", p.location.line)
        })
        .collect()
}

#[test]
fn markdown_is_read_by_lines() {
    let text = "# Title\n\nwords\n<!-- @SHOW -->\n```bash\necho a\n\n# note\necho \\\n  b\n```\nmore\n\
                <!-- not a directive -->\n```yaml\na: 1\n```\n";
    assert_eq!(
        elements("x.md", text),
        [
            "1 prose \"# Title\\n\\nwords\"",
            "4 Show",
            "6 command echo a",
            "8 comment # note",
            "9 command echo \\\n  b",
            "12 prose \"more\\n<!-- not a directive -->\\n```yaml\\na: 1\\n```\"",
        ]
    );
}

#[test]
fn compound_commands_are_one_element() {
    let text = "for i in 1 2; do\n  echo $i\ndone\ncat <<EOF\nx\n```\nEOF\n#@wait\n";
    assert_eq!(
        elements("x.sh", text),
        [
            "1 command for i in 1 2; do\n  echo $i\ndone",
            "4 command cat <<EOF\nx\n```\nEOF",
            "8 Wait wait"
        ]
    );
}

#[test]
fn fences_are_known_as_demosh_knows_them() {
    for (fence, runs) in [
        ("```bash", true),
        ("```sh", true),
        ("```shell", true),
        ("``` bash", false),
        ("```bashful", false),
        (" ```bash", false),
        ("```text", false),
    ] {
        let script = parse("x.md", &format!("{fence}\necho a\n```\n"));
        let has_command = script
            .elements
            .iter()
            .any(|p| matches!(p.element, Element::Command(_)));
        assert_eq!(has_command, runs, "{fence}");
    }
}

#[test]
fn an_article_turns_a_page_at_each_heading_and_a_demosh_script_does_not() {
    let text = "# One\n\na\n\n## Two\n\nb\n```bash\necho\n```\n<!-- @expect exit 0 -->\n";
    let script = parse("x.md", text);
    assert!(script.article);
    assert_eq!(
        elements("x.md", text),
        [
            "1 Show",
            "1 prose \"# One\\n\\na\"",
            "5 Page",
            "5 prose \"## Two\\n\\nb\"",
            "9 command echo",
            "11 Expect(Expectation { text: \"exit 0\", claim: Exit(0) })",
        ]
    );
    assert!(!parse("x.md", "<!-- @SHOW -->\n# One\n# Two\n").article);
}

#[test]
fn front_matter_is_read_and_its_mistakes_are_told() {
    let script = parse(
        "x.md",
        "---\ntitle: T\ncluster: {profile: workshop}\n---\n# H\n",
    );
    assert_eq!(script.front.title.as_deref(), Some("T"));
    assert_eq!(script.front.cluster.profile, front::ProfileName::Workshop);
    assert_eq!(script.elements[1].location.line, 5);
    let bad = parse("x.md", "---\ntitel: T\n---\n");
    assert!(bad.has_errors());
    assert_eq!(bad.diagnostics[0].location.line, 2);
    assert!(parse("x.md", "---\ntitle: T\n# H\n").has_errors());
    assert_eq!(parse("x.md", "---\n\n# H\n").diagnostics, []);
}

#[test]
fn diagnostics_name_line_column_and_the_way_out() {
    let script = parse(
        "x.md",
        "a\n<!-- @expect share smiley=X 10% ±5 -->\n```bash\necho\n",
    );
    let texts: Vec<String> = script.diagnostics.iter().map(ToString::to_string).collect();
    assert_eq!(
        texts[0],
        "error: there is no smiley `X`\n --> x.md:2:7\n  |\n\
         2 | <!-- @expect share smiley=X 10% ±5 -->\n  |       ^\n  = help: one of Grinning, \
         HeartEyes, RollingEyes, Sleeping, Cursing, Kaboom, Neutral, Screaming, Vomiting, Confused, Grimacing"
    );
    assert!(texts[1].contains("never closed"));
}

#[test]
fn odd_input_is_read_without_a_panic() {
    for text in [
        "",
        "\n",
        "\u{feff}# a\r\n",
        "```bash",
        "<!-- @",
        "<!-- @ -->",
        "---\n",
        "---\n---\n",
        "\\",
        "'",
        "#",
        "##\n",
        "#@",
    ] {
        parse("x.md", text);
        parse("x.sh", text);
    }
}

#[test]
fn a_command_that_its_fence_cuts_off_is_an_error_and_prose_is_never_run() {
    for open in ["cat <<EOF\nx", "echo 'a", "for i in 1; do", "a |"] {
        let text = format!("```bash\n{open}\n```\nProse with `touch x`.\n```bash\necho\n```\n");
        let script = parse("x.md", &text);
        assert!(script.has_errors(), "{open}");
        assert!(
            script.diagnostics[0].message.contains("not complete"),
            "{open}"
        );
    }
    let whole = parse(
        "x.md",
        "```bash\ncat <<EOF\n```bash\necho\n```\nEOF\necho two\n````\n",
    );
    assert_eq!(whole.diagnostics, []);
    assert_eq!(whole.elements.len(), 3);
    // A delimiter that happens to stand in the prose makes no code of it.
    let cut = parse(
        "x.md",
        "```bash\ncat <<EOF\nx\n```\nProse\nEOF\ntouch x\n```\n",
    );
    assert!(cut.has_errors());
}

/// Loads `main` among files of these names; hooks SET and OTHER have bodies.
fn load(main: &str, files: &[(&str, &str)], init: Option<&str>) -> Script {
    let source = |name: &str, text: &str| load::Source {
        file: name.to_owned(),
        path: name.to_owned(),
        text: text.to_owned(),
    };
    let find = |path: &str, _: &str| {
        let found = files.iter().find(|(name, _)| *name == path);
        found
            .map(|(name, text)| source(name, text))
            .ok_or_else(|| format!("there is no file {path}"))
    };
    let variable = |name: &str| match name {
        "DEMO_HOOK_SET" => Some("echo set".to_owned()),
        "DEMO_HOOK_EMPTY" => Some(String::new()),
        _ => None,
    };
    let text = files.iter().find(|(name, _)| *name == main).unwrap().1;
    load::load(&load::Loading {
        main: source(main, text),
        init: init.map(|text| source(".demoshrc", text)),
        builtins: load::Builtins::Present,
        place: load::Place::Outermost,
        find: &find,
        variable: &variable,
    })
}

/// What a walk shows and runs.
fn walked(script: Script) -> Vec<String> {
    walk::Walk::new(Arc::new(script), directive::Target::Embedded)
        .filter_map(|act| match act.kind {
            walk::ActKind::Step(step) => Some(format!(
                "{}{}{}",
                if step.shown { "$ " } else { "" },
                step.text.trim(),
                if step.wait_after { " (waits)" } else { "" }
            )),
            walk::ActKind::Prose { text, shown: true } => Some(text.trim().to_owned()),
            walk::ActKind::Comment { text, shown: true } => Some(text),
            walk::ActKind::Pause => Some("(pause)".to_owned()),
            _ => None,
        })
        .collect()
}

#[test]
fn macros_hooks_and_imports_act_when_the_script_is_read() {
    let main = "#@SHOW\nm1\n#@late\n#@import lib.sh\necho $(fn)\n#@hooked x\n#@ifhook hooked\n\
                echo yes\n#@endif\n#@ifhook unset\necho no\n#@endif\n#@macro late\n echo late\n#@end\n";
    let lib = "#@hook hooked SET\n#@hook unset EMPTY\n#@SKIP\necho skipped\n#@macro m1\n  #@SHOW\n  \
               echo shown in m1\n  #@wait\n#@end\n#@SHOW\nfn() { echo; }\n";
    let script = load("x.sh", &[("x.sh", main), ("lib.sh", lib)], None);
    assert_eq!(script.diagnostics, []);
    assert_eq!(
        script.prologue(),
        ["hooked() { echo set\n}", "unset() { :;\n}"]
    );
    assert_eq!(
        walked(script),
        [
            "$ m1",
            "$ echo shown in m1",
            "wait (waits)",
            "late",
            "echo late",
            "$ fn() { echo; }",
            "$ echo $(fn)",
            "hooked x",
            "echo yes"
        ]
    );
}

#[test]
fn overrides_count_for_the_next_thing_that_is_executed() {
    for (text, seen) in [
        (
            "#@nowaitbefore\n# c\n\n#@waitafter\na",
            vec!["# c", "$ a (waits)"],
        ),
        ("#@immed\na\nb", vec!["a", "$ b"]),
        ("#@waitafter\n#@immed\na", vec!["a"]),
        ("#@immed\n#@waitafter\na", vec!["a (waits)"]),
        ("#@waitafter\n#@clear\na", vec!["clear (waits)", "$ a"]),
        ("#@immed\nX=1\na", vec!["X=1", "$ a"]),
        ("#@immed\n#@print x\na", vec!["print x", "$ a"]),
        ("#@print\na", vec!["print (waits)", "$ a"]),
        ("#@wait 5\na", vec!["wait 5 (waits)", "$ a"]),
        ("#@HIDE\n#@wait\n#@waitafter\na", vec!["wait (waits)", "a"]),
        ("#@waitafter\nm", vec!["$ m (waits)", "b", "(pause)"]),
        ("#@immed\n#@danger\na\nb", vec!["$ a", "$ b"]),
        ("#@HIDE\n#@danger\na\nb", vec!["$ a", "b"]),
    ] {
        let text = format!("#@macro m\n b\n#@end\n#@SHOW\n{text}\n");
        assert_eq!(walked(parse("x.sh", &text)), seen, "{text}");
    }
}

#[test]
fn the_init_file_comes_first_and_in_the_same_list() {
    let files = [("x.sh", "echo a\n")];
    assert_eq!(walked(load("x.sh", &files, Some("#@SHOW\n"))), ["$ echo a"]);
    let article = [("x.md", "# T\n```bash\na\n```\n")];
    let script = load("x.md", &article, Some("#@macro m\n#@end\nX=1\n"));
    assert_eq!(walked(script), ["X=1", "# T", "$ a"]);
}

#[test]
fn only_regions_are_for_one_kind_of_cluster() {
    let text = "<!-- @only context -->\nno\n<!-- @only embedded -->\nno\n<!-- @end -->\n\
                <!-- @end -->\n<!-- @only embedded -->\nyes\n<!-- @end -->\nafter\n";
    assert_eq!(walked(parse("x.md", text)), ["yes", "after"]);
}

#[test]
fn a_script_s_own_names_win_over_directives() {
    let text = "note() { :; }\n#@note hello\n#@macro wait\n x\n#@end\n#@wait\nwait\n";
    assert_eq!(
        walked(parse("x.sh", text)),
        ["note() { :; }", "note hello", "wait", "x", "wait", "x"]
    );
}

#[test]
fn each_mistake_has_its_diagnostic() {
    for (text, message, severity) in [
        ("<!-- @sectoin A -->", "no directive", Severity::Warning),
        ("<!-- @Wait -->", "no directive", Severity::Warning),
        ("<!-- @shwo -->", "no directive", Severity::Warning),
        ("<!-- @wait -->\nwords", "starts hidden", Severity::Warning),
        ("<!-- @HIDE --> more", "takes no words", Severity::Warning),
        (
            "<!--@SHOW-->",
            "a comment and no directive",
            Severity::Warning,
        ),
        (
            " <!-- @SHOW -->",
            "a comment and no directive",
            Severity::Warning,
        ),
        (
            "<!-- #@SHOW -->",
            "a comment and no directive",
            Severity::Warning,
        ),
        (
            "```bash\n#@macro x\n```",
            "is never closed",
            Severity::Error,
        ),
        ("<!-- @ifhook x -->", "is never closed", Severity::Error),
        (
            "<!-- @only embedded -->",
            "is never closed",
            Severity::Error,
        ),
        ("<!-- @macro -->", "needs a name", Severity::Error),
        ("<!-- @hook x -->", "needs the name", Severity::Error),
        ("<!-- @import -->", "needs a path", Severity::Error),
        (
            "<!-- @import no.md -->",
            "there is no file no.md",
            Severity::Error,
        ),
        (
            "<!-- @import x.md -->",
            "x.md imports itself",
            Severity::Error,
        ),
        (
            "<!-- @macro x -->\n#@x\n#@end",
            "calls itself",
            Severity::Error,
        ),
        (
            "<!-- @macro x -->\n#@y\n#@end\n<!-- @macro y -->\nx\n#@end",
            "calls itself",
            Severity::Error,
        ),
        ("<!-- @expect shrae -->", "does not know", Severity::Error),
        ("<!-- @timeout soon -->", "needs a time", Severity::Error),
        (
            "<!-- @only prod -->",
            "does not know `prod`",
            Severity::Error,
        ),
        (
            "<!-- @grid colour=x -->",
            "does not know `colour=x`",
            Severity::Error,
        ),
        (
            "<!-- @grid rows=2 -->",
            "cannot have `rows=2`",
            Severity::Error,
        ),
        (
            "<!-- @grid cols=9 -->",
            "cannot have `cols=9`",
            Severity::Error,
        ),
        (
            "<!-- @grid rate=0 -->",
            "`rate=0` is no rate",
            Severity::Error,
        ),
        (
            "---\ngrid: {rows: 40}\n---\n",
            "cannot have `rows=40`",
            Severity::Error,
        ),
        (
            "---\ngrid: {app: chess}\n---\n",
            "unknown variant `chess`",
            Severity::Error,
        ),
        ("```bash\necho", "never closed", Severity::Error),
        (
            "```bash\necho\n\n```bash\necho\n```",
            "never closed",
            Severity::Error,
        ),
    ] {
        let script = load("x.md", &[("x.md", text)], None);
        let found = script
            .diagnostics
            .iter()
            .find(|d| d.message.contains(message));
        let found = found.unwrap_or_else(|| panic!("{text}: {:?}", script.diagnostics));
        assert_eq!(found.severity, severity, "{text}");
        assert!(
            !found.source.is_empty() && !found.help.is_empty(),
            "{text}: {found}"
        );
    }
    for text in [
        "<!-- @echo hi -->",
        "<!-- @rm x -->",
        "<!-- @show_5 -->",
        "<!-- set -e -->",
        "`<!--@X-->`",
    ] {
        let text = format!("{text}\n<!-- @SHOW -->\n");
        let text = text.as_str();
        assert_eq!(
            load("x.md", &[("x.md", text)], None).diagnostics,
            [],
            "{text}"
        );
    }
}

/// The lines of all parts, in order and without holes.
fn covers(file: &str, text: &str) {
    let lines: Vec<&str> = text.split('\n').collect();
    let skipped = front::read(&file.into(), &lines, &mut Vec::new()).1;
    let parts = read::read(&file.into(), &lines, skipped, &mut Vec::new());
    let mut next = 0;
    for part in &parts {
        assert_eq!(part.lines.start, next, "{text:?}: {parts:?}");
        next = part.lines.end;
    }
    assert_eq!(next, lines.len(), "{text:?}: {parts:?}");
}

proptest::proptest! {
    /// Whatever the pieces and their order: no panic, no hang, no line lost or taken twice.
    #[test]
    fn every_line_is_in_exactly_one_part(
        pieces in proptest::collection::vec(proptest::sample::select(PIECES.to_vec()), 0..40),
        glue in proptest::sample::select(vec!["\n", " ", ""]),
    ) {
        let text = pieces.join(glue);
        for file in ["x.md", "x.sh"] {
            covers(file, &text);
            walked(parse(file, &text));
        }
    }

    #[test]
    fn any_text_is_read(text in "\\PC*") {
        for file in ["x.md", "x.sh"] {
            covers(file, &text);
            walked(parse(file, &text));
        }
    }
}

/// What scripts are made of, and what breaks readers.
const PIECES: [&str; 44] = [
    "```bash",
    "```",
    "````",
    "``` sh",
    "# T",
    "#@SHOW",
    "#@HIDE",
    "#@SKIP",
    "<!-- @SHOW -->",
    "<!-- @wait",
    "<!--@x-->",
    "#@macro m",
    "#@macro n",
    "#@end",
    "#@endif",
    "#@ifhook h",
    "#@m",
    "#@n",
    "m",
    "<!-- @macro m -->",
    "#@hook h H",
    "#@import x",
    "#@only embedded",
    "#@immed",
    "echo a",
    "echo 'a",
    "echo \"a",
    "cat <<EOF",
    "EOF",
    "for i in 1; do",
    "done",
    "f() {",
    "}",
    "$(",
    "${",
    "((",
    ")",
    "\\",
    "",
    "---",
    "é\u{1f600}\\é",
    "# c \\",
    "#$ typed",
    "<!-- @print 'x -->",
];

/// Commands as people write them; each is whole, and bash judges each of its beginnings.
const WHOLE: [&str; 34] = [
    "for i in 1 2; do\n  echo $i\ndone",
    "while read -r l; do\n  case $l in\n    a|b) echo ab ;;\n    (c) echo c ;;\n    *) break ;;\n  esac\ndone < f",
    "f() {\n  local a=()\n  a+=(x \"y z\")\n  [[ ${#a[@]} -gt 1 ]] && return\n}",
    "function g () {\n  echo ${1:-\"it's\"}\n}",
    "function h\n{\n  echo\n}",
    "k ()\n(\n  cd /\n)",
    "if (true); then { echo a; } fi",
    "if [[ $a =~ ^(x|y)$ ]]; then\n  echo\nelif ((a > 1)); then\n  echo\nelse\n  echo\nfi",
    "cat <<EOF\nif $x 'a\nEOF",
    "cat <<-'E F' | wc -l\n\tfor\n\tE F",
    "cat <<A; cat <<B\na\nA\nb\nB",
    "x=$(cat <<EOF\nit's\nEOF\n)",
    "echo \"$(\n  date\n)\"",
    "echo \"a\nb\" if you do",
    "echo 'a\nb' && \\\n  echo c",
    "a |\n  b |&\n  c",
    "a &&\n# a comment\nb ||\n\nc",
    "arr=(\n  if\n  'a b'\n  $(date)\n)",
    "declare -A m=([a]=1\n[b]=2)",
    "((i = 1 << 2,\n j = 2))",
    "echo $((1 +\n (2 * 3)))",
    "diff <(sort a) \\\n  <(sort b)",
    "select x in a b; do\n  break\ndone",
    "until false; do :; done",
    "{\n  a\n  b\n} > out 2>&1",
    "(\n  a\n) && b",
    "for ((i = 0; i < 3; i++)); do\n  echo\ndone",
    "case $x in\nif|for) echo ;;\nesac",
    "case $(uname) in Linux) a;; *) b;; esac",
    "echo `date\n`",
    "echo $'it\\'s\n'",
    "missing= ;\\\n\\\nfor c in a; do \\\n  if ! command -v $c; then \\\n    missing=1 ;\\\n  fi ;\\\ndone ;\\\n",
    "time {\n  a\n}",
    "! {\n  a\n}",
];

#[test]
fn bash_agrees_on_what_is_complete() {
    let wants_more = |text: &str| {
        let output = std::process::Command::new("bash")
            .args(["-n", "-O", "extglob", "-c", text])
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        [
            "unexpected end of file",
            "unexpected EOF",
            "delimited by end-of-file",
        ]
        .iter()
        .any(|sign| errors.contains(sign))
    };
    for whole in WHOLE {
        let lines: Vec<&str> = whole.split('\n').collect();
        for length in 1..=lines.len() {
            let text = lines[..length].join("\n");
            // bash takes a last backslash as it is.
            let more = wants_more(&text) || text.ends_with('\\');
            assert_eq!(!complete::is_complete(&text), more, "{text}");
        }
    }
}
