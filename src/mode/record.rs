//! `footlights record`: the show as an asciicast, drawn by the same code as on stage.

use std::cell::RefCell;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context, Result};
use ratatui::backend::CrosstermBackend;
use ratatui::layout::Rect;
use ratatui::{Terminal, TerminalOptions, Viewport};

use super::{Outcome as ExitOutcome, show};
use crate::cast::{self, Header};
use crate::cli;
use crate::clock::{Clock, Pace};
use crate::drive::{Afterwards, Output, Pilot, Stage, drive};
use crate::engine::{Above, Block, OnFailure, Outcome, Settings, State, Typing, Wait};
use crate::shell::Input;
use crate::theme::Theme;
use crate::view::{self, View};

/// Records a script.
pub async fn run(args: cli::Record) -> Result<ExitOutcome> {
    let loaded = show::load(
        args.script.script.as_deref(),
        &args.script.args,
        &args.script.demosh,
        &args.on,
    )?;
    let theme = Theme::named(&args.theme)?;
    let file = create(&args.output, args.force)?;
    let settings = Settings {
        on_failure: OnFailure::Stop,
        typing: Typing::Human,
        step_timeout: Some(Duration::from_secs(120)),
        grace: Duration::ZERO,
    };
    let engine = loaded.engine(settings);
    let title = engine.state().title.clone();
    let cast = loaded
        .cast(Input::Nobody, &args.on, Afterwards::Leave)
        .await?;
    let recorder = Recorder::new(file, args.size, &title, View::new(theme))?;
    let clock = Clock::new(if args.fast {
        Pace::Skipping
    } else {
        Pace::Live
    });
    let outcome = drive(
        engine,
        Pilot::reading(reading_time),
        clock,
        cast,
        vec![Box::new(recorder)],
    )
    .await?;
    match outcome {
        Outcome::Finished => {
            eprintln!("footlights: {} is written", args.output.display());
            Ok(ExitOutcome::Good)
        }
        Outcome::Quit => Ok(ExitOutcome::ShowFailed),
        Outcome::Failed { location, reason } => {
            eprintln!(
                "footlights: {location}: {reason}; {} ends there",
                args.output.display()
            );
            Ok(ExitOutcome::ShowFailed)
        }
    }
}

/// A new file; an old one only if that is meant.
pub(super) fn create(path: &Path, force: bool) -> Result<File> {
    let mut options = OpenOptions::new();
    options.write(true);
    if force {
        options.create(true).truncate(true);
    } else {
        options.create_new(true);
    }
    options.open(path).with_context(|| {
        if path.exists() {
            format!("{}: --force overwrites it", path.display())
        } else {
            format!("creating {}", path.display())
        }
    })
}

/// How long a viewer gets: longer for prose that has just come, and to watch the grid after a
/// command.
fn reading_time(state: &State) -> Duration {
    let words: usize = state
        .page
        .iter()
        .map(|block| match block {
            Block::Prose(text) => text.split_whitespace().count(),
            _ => 0,
        })
        .sum();
    let milliseconds = match state.phase {
        crate::engine::Phase::Waiting(Wait::BeforeCommand | Wait::BeforeDanger) => {
            1_200 + 60 * words.min(40)
        }
        _ => 2_500 + 40 * words.min(40),
    };
    Duration::from_millis(milliseconds as u64)
}

/// Bytes that the drawing code writes, until they become an event.
#[derive(Clone, Default)]
struct Drawn(Rc<RefCell<Vec<u8>>>);

impl Write for Drawn {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Draws into a cast.
struct Recorder {
    file: BufWriter<File>,
    terminal: Terminal<CrosstermBackend<Drawn>>,
    drawn: Drawn,
    view: View,
    area: Rect,
    last: Option<Duration>,
    above: Above,
}

/// Frames are at least this far apart: a viewer sees no more, and the file stays small.
const FRAME: Duration = Duration::from_millis(40);

impl Recorder {
    fn new(file: File, (columns, rows): (u16, u16), title: &str, view: View) -> Result<Self> {
        let area = Rect::new(0, 0, columns, rows);
        let drawn = Drawn::default();
        let options = TerminalOptions {
            viewport: Viewport::Fixed(area),
        };
        let terminal = Terminal::with_options(CrosstermBackend::new(drawn.clone()), options)?;
        let mut file = BufWriter::new(file);
        let header = Header {
            columns,
            rows,
            timestamp: jiff::Timestamp::now().as_second(),
            title: title.to_owned(),
        };
        file.write_all(cast::header(&header).as_bytes())?;
        Ok(Recorder {
            file,
            terminal,
            drawn,
            view,
            area,
            last: None,
            above: Above::default(),
        })
    }
}

impl Output for Recorder {
    fn update(&mut self, at: Duration, state: &State) -> Result<()> {
        let due = self
            .last
            .is_none_or(|last| at.saturating_sub(last) >= FRAME);
        if !due && state.outcome.is_none() {
            return Ok(());
        }
        self.last = Some(at);
        let (view, area, above) = (&self.view, self.area, &mut self.above);
        self.terminal
            .draw(|frame| *above = view.draw(state, area, frame.buffer_mut()))?;
        let bytes = std::mem::take(&mut *self.drawn.0.borrow_mut());
        if !bytes.is_empty() {
            self.file.write_all(cast::output(at, &bytes).as_bytes())?;
        }
        // A crash keeps what was recorded.
        self.file.flush().context("writing the cast")
    }

    fn mark(&mut self, at: Duration, label: &str) -> Result<()> {
        self.file
            .write_all(cast::marker(at, label).as_bytes())
            .context("writing the cast")
    }

    fn above(&self) -> Above {
        self.above
    }

    fn stage(&self, state: &State) -> Option<Stage> {
        let stage = view::layout(state, self.area).stage;
        Some(Stage {
            columns: stage.width,
            rows: stage.height,
        })
    }
}
