//! Header, footer and what lies over the screen.

use std::time::Duration;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, BorderType, Clear, Paragraph, Widget};
use unicode_width::UnicodeWidthStr;

use super::wrap::shorten;
use crate::engine::{Cluster, Ground, Overlay, Phase, State, Wait};
use crate::theme::{Theme, color};

/// The title, the section, the step and the badge.
pub fn header(state: &State, theme: &Theme, area: Rect, buffer: &mut Buffer) {
    buffer.set_style(area, theme.bar(theme.text));
    let (badge, paper) = match &state.ground {
        Ground::Embedded => (" EMBEDDED ".to_owned(), theme.badge),
        // What happens there is real.
        Ground::Context(name) => (format!(" {} ", shorten(name, 24)), theme.warning),
    };
    let badge_style = Style::new()
        .fg(color(theme.badge_text))
        .bg(color(paper))
        .add_modifier(Modifier::BOLD);
    let step = match state.steps {
        0 => String::new(),
        steps => format!("step {} of {steps}  ", state.step.clamp(1, steps)),
    };
    let right = step.width() + badge.width();
    let left = usize::from(area.width).saturating_sub(right + 2);
    let title = shorten(&state.title, left);
    let mut spans = vec![
        Span::styled(" ", theme.bar(theme.text)),
        Span::styled(
            title.clone(),
            theme.bar(theme.heading).add_modifier(Modifier::BOLD),
        ),
    ];
    if let Some(section) = state.section.as_ref().filter(|s| **s != state.title) {
        let room = left.saturating_sub(title.width() + 3);
        if room > 4 {
            spans.push(Span::styled(
                format!(" · {}", shorten(section, room)),
                theme.bar(theme.text),
            ));
        }
    }
    buffer.set_line(area.x, area.y, &Line::from(spans), area.width);
    let x = area.right().saturating_sub(right as u16);
    buffer.set_string(x, area.y, &step, theme.bar(theme.dim));
    let x = area.right().saturating_sub(badge.width() as u16);
    buffer.set_string(x, area.y, badge, badge_style);
}

/// What the keys do now, the time, and where the traffic goes.
pub fn footer(state: &State, theme: &Theme, area: Rect, buffer: &mut Buffer) {
    buffer.set_style(area, theme.bar(theme.text));
    let clock = format!("{} ", minutes(state.now));
    let room = usize::from(area.width).saturating_sub(clock.width() + 2);
    let keys = format!(" {}", shorten(&keys(state), room));
    buffer.set_string(area.x, area.y, keys, theme.bar(theme.text));
    let x = area.right().saturating_sub(clock.width() as u16);
    buffer.set_string(x, area.y, clock, theme.bar(theme.dim));
    if area.height > 1 {
        let (starting, whose) = match &state.ground {
            Ground::Embedded => (
                "starting the embedded cluster",
                "your own clusters are not used".to_owned(),
            ),
            Ground::Context(name) => ("connecting", format!("this changes {name}")),
        };
        let (text, ink) = match (&state.cluster, &state.gateway) {
            (Cluster::Failed(why), _) => (format!("no cluster: {why}"), theme.bad),
            (_, Some(url)) => (format!("{url} · {whose}"), theme.dim),
            (Cluster::Starting, None) => (format!("{starting} · {whose}"), theme.dim),
            (Cluster::Ready, None) => (format!("no Gateway yet · {whose}"), theme.dim),
        };
        let text = shorten(&text, usize::from(area.width).saturating_sub(2));
        buffer.set_string(area.x + 1, area.y + 1, text, theme.bar(ink));
    }
}

fn keys(state: &State) -> String {
    if state.looking_back > 0 {
        return format!("looking back {} · Enter returns", state.looking_back);
    }
    if state.scrolled > 0 {
        return "more below · Enter goes on · PgUp up".to_owned();
    }
    match state.phase {
        Phase::Beginning => String::new(),
        Phase::Typing { .. } => "Space finishes typing · Enter runs it".to_owned(),
        Phase::Waiting(Wait::BeforeCommand) => {
            "Enter runs it · + leaves it out · ? help · q quit".to_owned()
        }
        Phase::Waiting(Wait::BeforeDanger) => {
            "careful: only Enter runs it · + leaves it out · q quit".to_owned()
        }
        Phase::Waiting(Wait::Stop) => "Enter next · ? help · q quit".to_owned(),
        Phase::Waiting(Wait::Failure) => "Enter goes on · - runs it again · q quit".to_owned(),
        Phase::Waiting(Wait::End) => "the end · Enter leaves · ← looks back".to_owned(),
        Phase::Running { focus: true, .. } => {
            "keys go to the program · ^] takes them back".to_owned()
        }
        Phase::Running { since, .. } => {
            let time = minutes(state.now.saturating_sub(since));
            format!("running {time} · ^C stops · ^] types into it")
        }
        Phase::Judging { .. } => "watching the traffic · Enter goes on".to_owned(),
        Phase::Ended => String::new(),
    }
}

/// `1:07`.
fn minutes(time: Duration) -> String {
    let seconds = time.as_secs();
    format!("{}:{:02}", seconds / 60, seconds % 60)
}

/// Help, notes, or the question whether to quit.
pub fn overlay(state: &State, theme: &Theme, area: Rect, buffer: &mut Buffer) {
    let (title, text): (&str, &[&str]) = match state.overlay {
        Overlay::None => return,
        Overlay::Quit => ("Quit?", &["y or q  ends the show", "any other key  stays"]),
        Overlay::Notes => (
            "Speaker notes",
            &[
                "Notes are never shown on this screen.",
                "They stand in the script, after @note.",
            ],
        ),
        Overlay::Help => (
            "Keys",
            &[
                "Enter               run, next",
                "Space  PgDn  →      finish typing, next",
                "PgUp  ←  Backspace  look back",
                "+  -                leave out, run the last again",
                "^C                  stop the command",
                "^]                  type into it, and back",
                "z                   the grid alone, and back",
                "b  .                black screen, and back",
                "Esc                 close whatever is open",
                "q  Q                quit (asks)",
            ],
        ),
    };
    let wide = text.iter().map(|l| l.width()).max().unwrap_or(0) as u16 + 4;
    let high = text.len() as u16 + 2;
    let place = Rect {
        x: area.x + area.width.saturating_sub(wide) / 2,
        y: area.y + area.height.saturating_sub(high) / 2,
        width: wide,
        height: high,
    }
    .intersection(area);
    let style = theme.bar(theme.text);
    let block = Block::bordered()
        .border_type(BorderType::Rounded)
        .title(format!(" {title} "))
        .style(style)
        .border_style(theme.bar(theme.accent));
    let lines: Vec<Line<'_>> = text.iter().map(|l| Line::from(format!(" {l}"))).collect();
    Clear.render(place, buffer);
    Paragraph::new(lines)
        .block(block)
        .style(style)
        .render(place, buffer);
}
