//! Whole screens, drawn by the real view from states that the real engine reached.

use std::time::Duration;

use footlights::audience::{Reply, Sample, Shape, face::Body};
use footlights::diff;
use footlights::engine::{
    Effect, Engine, Event, Exit, GRACE, Id, Intent, OnFailure, Settings, Typing,
};
use footlights::script;
use footlights::terminal::Terminal;
use footlights::theme::Theme;
use footlights::view::View;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

struct Show {
    engine: Engine,
    now: Duration,
    running: Option<Id>,
    typed: Option<Id>,
}

impl Show {
    fn new(text: &str) -> Self {
        let settings = Settings {
            on_failure: OnFailure::GoOn,
            typing: Typing::Instant,
            step_timeout: None,
            grace: GRACE,
        };
        let script = script::parse("x.md", text);
        let mut show = Show {
            engine: Engine::new(
                script,
                footlights::engine::Ground::Embedded,
                Default::default(),
                settings,
            ),
            now: Duration::ZERO,
            running: None,
            typed: None,
        };
        show.send(Event::ClusterReady);
        show.send(Event::Gateway("http://127.0.0.1".into()));
        show
    }

    fn send(&mut self, event: Event) {
        self.now += Duration::from_millis(300);
        for effect in self.engine.handle(self.now, event) {
            match effect {
                Effect::Run { id, .. } => self.running = Some(id),
                Effect::Predict { id, .. } => self.typed = Some(id),
                _ => {}
            }
        }
    }

    fn enter(&mut self) {
        self.send(Event::Intent(Intent::Enter));
    }

    fn faces(&mut self, hearts: usize) {
        for cell in 0..16 {
            let smiley = if cell % 5 < hearts { "😍" } else { "😃" };
            let body = format!(r##"{{"smiley":"{smiley}","color":"#66CCEE"}}"##);
            let sample = Sample {
                number: cell as u64,
                user: None,
                started: self.now,
                ended: self.now + Duration::from_millis(1),
                row: cell / 4,
                column: cell % 4,
                place: Shape::default().place(cell / 4, cell % 4),
                pod: None,
                reply: Reply::Answer {
                    status: 200,
                    body: Body::parse(body.as_bytes()),
                },
            };
            for _ in self
                .engine
                .handle(self.now + Duration::from_millis(2), Event::Sampled(sample))
            {}
        }
    }

    fn writes(&mut self, bytes: &[u8], status: i32) {
        let id = self.running.take().expect("a command runs");
        let mut terminal = Terminal::new(40, 20);
        terminal.take(bytes);
        let frame = std::sync::Arc::new(terminal.transcript());
        self.send(Event::Output(id, frame));
        self.send(Event::Exited(
            id,
            Exit {
                status,
                ..Exit::default()
            },
        ));
    }

    fn screen(&self, columns: u16, rows: u16) -> String {
        let area = Rect::new(0, 0, columns, rows);
        let mut buffer = Buffer::empty(area);
        View::new(Theme::named("dark").unwrap()).draw(self.engine.state(), area, &mut buffer);
        let mut text = String::new();
        for y in 0..rows {
            let mut row = String::new();
            let mut x = 0;
            while x < columns {
                let symbol = buffer[(x, y)].symbol();
                row.push_str(symbol);
                x += unicode_width::UnicodeWidthStr::width(symbol).max(1) as u16;
            }
            text += row.trim_end();
            text.push('\n');
        }
        text
    }
}

const TOUR: &str = include_str!("../demos/tour/tour.md");

/// The tour without its hidden first step.
fn tour() -> Show {
    let mut show = Show::new(TOUR);
    let id = show.running.take().expect("the hidden step runs");
    show.send(Event::Exited(id, Exit::default()));
    show
}

#[test]
fn the_first_screen() {
    let mut show = tour();
    show.faces(0);
    for (columns, rows) in [(80, 24), (100, 30), (200, 60)] {
        insta::assert_snapshot!(
            format!("first-{columns}x{rows}"),
            show.screen(columns, rows)
        );
    }
}

#[test]
fn a_change_before_it_is_applied() {
    let mut show = tour();
    show.faces(1);
    show.enter();
    let route = |smiley: u32, smiley2: u32| {
        serde_json::json!({"kind": "HTTPRoute", "metadata": {"name": "smiley-canary", "namespace": "faces"},
            "spec": {"parentRefs": [{"name": "smiley"}], "rules": [{"backendRefs": [
                {"name": "smiley", "port": 80, "weight": smiley},
                {"name": "smiley2", "port": 80, "weight": smiley2}]}]}})
    };
    let change = diff::compare(Some(&route(90, 10)), Some(&route(50, 50))).unwrap();
    show.send(Event::Predicted(show.typed.unwrap(), vec![change]));
    let screen = show.screen(80, 24);
    assert!(
        screen.contains("rules[0].backendRefs[1].weight"),
        "{screen}"
    );
    assert!(screen.contains("10 → 50"), "{screen}");
    insta::assert_snapshot!("change-80x24", screen);
}

#[test]
fn output_a_failure_and_an_expectation() {
    let mut show = Show::new("# T\n```bash\nls nope\n```\n<!-- @expect exit 0 -->\n");
    show.faces(5);
    show.enter();
    show.writes(b"\x1b[31mls: cannot access 'nope'\x1b[0m\r\n", 2);
    insta::assert_snapshot!("failure-80x24", show.screen(80, 24));
}

#[test]
fn small_screens_and_wide_characters() {
    let mut show = Show::new(
        "# 全文使用了演示工具\n\n为了方便记录，我会转换成常用的命令和Yaml。实验介绍了linkerd和istio。\n",
    );
    show.faces(2);
    for (columns, rows) in [(40, 12), (60, 24), (80, 24)] {
        insta::assert_snapshot!(format!("wide-{columns}x{rows}"), show.screen(columns, rows));
    }
    assert!(show.screen(39, 12).contains("too small"));
}

#[test]
fn help_and_the_grid_alone() {
    let mut show = tour();
    show.faces(1);
    show.send(Event::Intent(Intent::Help));
    insta::assert_snapshot!("help-80x24", show.screen(80, 24));
    show.enter();
    show.send(Event::Intent(Intent::Zoom));
    insta::assert_snapshot!("zoom-100x30", show.screen(100, 30));
}
