//! `footlights present`: a presenter, a terminal, live time.

use std::io::{IsTerminal, Stdout, stdin, stdout};
use std::time::Duration;

use anyhow::{Result, bail};
use crossterm::cursor::Show;
use crossterm::event::{DisableBracketedPaste, EnableBracketedPaste, EventStream};
use crossterm::execute;
use crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::layout::Rect;

use super::{Outcome as ExitOutcome, plain, rehearse, show};
use crate::cli;
use crate::clock::{Clock, Pace};
use crate::drive::{Afterwards, Output, Pilot, Stage, drive};
use crate::engine::{Above, GRACE, OnFailure, Outcome, Settings, State, Typing};
use crate::shell::Input;
use crate::theme::Theme;
use crate::view::{self, SMALLEST, View};

/// Presents a script; without a terminal the tour is rehearsed instead.
pub async fn run(args: cli::Present) -> Result<ExitOutcome> {
    if show::outer_show().is_some() {
        return plain::run(args).await;
    }
    let has_terminal = stdin().is_terminal() && stdout().is_terminal();
    if !has_terminal && args.script.script.is_none() {
        eprintln!("footlights: there is no terminal, so the tour is rehearsed");
        return rehearse::run(rehearse::of_the_tour()).await;
    }
    let loaded = show::load(
        args.script.script.as_deref(),
        &args.script.args,
        &args.script.demosh,
        &args.on,
    )?;
    if !has_terminal {
        bail!("presenting needs a terminal: use `footlights rehearse` without one");
    }
    let theme = loaded
        .script
        .front
        .theme
        .clone()
        .filter(|_| args.theme == "dark");
    let theme = Theme::named(theme.as_deref().unwrap_or(&args.theme))?;
    let (columns, rows) = crossterm::terminal::size()?;
    if columns < SMALLEST.0 || rows < SMALLEST.1 {
        bail!(
            "the terminal has {columns}x{rows} and a show needs {}x{}: make it larger",
            SMALLEST.0,
            SMALLEST.1
        );
    }
    let settings = Settings {
        on_failure: OnFailure::GoOn,
        typing: if args.no_typing {
            Typing::Instant
        } else {
            Typing::Human
        },
        step_timeout: None,
        grace: GRACE,
    };
    if args.on.context.is_none() {
        show::say_which_cluster();
    }
    let engine = loaded.engine(settings);
    let cast = loaded
        .cast(Input::Terminal, &args.on, Afterwards::Leave)
        .await?;
    let screen = Screen::open(View::new(theme))?;
    let outcome = drive(
        engine,
        Pilot::Keyboard(EventStream::new()),
        Clock::new(Pace::Live),
        cast,
        vec![Box::new(screen)],
    )
    .await?;
    match outcome {
        Outcome::Finished | Outcome::Quit => Ok(ExitOutcome::Good),
        Outcome::Failed { location, reason } => {
            eprintln!("footlights: {location}: {reason}");
            Ok(ExitOutcome::ShowFailed)
        }
    }
}

/// The presenter's terminal. It is given back when this is dropped, and after a panic.
pub struct Screen {
    terminal: Terminal<CrosstermBackend<Stdout>>,
    view: View,
    above: Above,
}

impl Screen {
    /// Takes the terminal over.
    pub fn open(view: View) -> Result<Self> {
        restore_after_a_panic();
        enable_raw_mode()?;
        let screen = Screen {
            terminal: Terminal::new(CrosstermBackend::new(stdout()))?,
            view,
            above: Above::default(),
        };
        // With bracketed paste a pasted newline is no Enter.
        execute!(stdout(), EnterAlternateScreen, EnableBracketedPaste)?;
        Ok(screen)
    }
}

/// Gives the terminal back. Errors are of no use any more: the terminal may be gone.
fn restore() {
    let _ = execute!(stdout(), DisableBracketedPaste, LeaveAlternateScreen, Show);
    let _ = disable_raw_mode();
}

/// A panic of the show's own thread ends the show, so its message needs the terminal as it was. One
/// of a task ends only that task: it is logged, and the stage stays as it is.
fn restore_after_a_panic() {
    let before = std::panic::take_hook();
    let show = std::thread::current().id();
    std::panic::set_hook(Box::new(move |panic| {
        if std::thread::current().id() == show {
            restore();
            before(panic);
        } else {
            tracing::error!(%panic, "a task panicked");
        }
    }));
}

impl Drop for Screen {
    fn drop(&mut self) {
        restore();
    }
}

impl Output for Screen {
    fn update(&mut self, _: Duration, state: &State) -> Result<()> {
        let (view, above) = (&self.view, &mut self.above);
        self.terminal.draw(|frame| {
            let area = frame.area();
            *above = view.draw(state, area, frame.buffer_mut());
        })?;
        Ok(())
    }

    fn above(&self) -> Above {
        self.above
    }

    fn stage(&self, state: &State) -> Option<Stage> {
        let size = self.terminal.size().ok()?;
        let stage = view::layout(state, Rect::new(0, 0, size.width, size.height)).stage;
        Some(Stage {
            columns: stage.width,
            rows: stage.height,
        })
    }

    fn resized(&mut self) -> Result<()> {
        self.terminal.autoresize()?;
        Ok(())
    }
}
