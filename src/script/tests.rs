//! Scripts as text, elements as they come out.

use super::*;

fn elements(file: &str, text: &str) -> Vec<String> {
    let script = parse(file, text);
    script
        .elements
        .iter()
        .map(|p| {
            let what = match &p.element {
                Element::Prose(t) => format!("prose {:?}", t.trim()),
                Element::Comment(t) => format!("comment {t}"),
                Element::Blank => "blank".to_owned(),
                Element::Command(t) => format!("command {t}"),
                Element::Directive(d) => format!("{d:?}"),
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
            "7 blank",
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
            "8 Wait"
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
    assert_eq!(script.title(), "T");
    assert_eq!(script.front.cluster.profile, front::ProfileName::Workshop);
    assert_eq!(script.elements[0].location.line, 5);
    let bad = parse("x.md", "---\ntitel: T\n---\n");
    assert!(bad.has_errors());
    assert_eq!(bad.diagnostics[0].location.line, 2);
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
         HeartEyes, RollingEyes, Cursing, Sleeping, Kaboom, Neutral, Screaming, Vomiting"
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
    let whole = parse("x.md", "```bash\ncat <<EOF\n```\nEOF\n```\n");
    assert!(!whole.has_errors());
}
