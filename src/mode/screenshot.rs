//! `footlights screenshot`: a script unattended up to a step, and its screen as a picture.

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::{Outcome as ExitOutcome, record, show};
use crate::cli;
use crate::clock::{Clock, Pace};
use crate::drive::{Afterwards, Output, Pilot, Press, Stage, drive};
use crate::engine::{Above, Intent, OnFailure, Outcome, Settings, State, Typing};
use crate::shell::Input;
use crate::svg;
use crate::theme::Theme;
use crate::view::{self, View};

/// So long is waited at the step, for the grid to show what it did: each cell has been asked again.
const LOOKING: Duration = Duration::from_secs(5);

/// Takes the picture.
pub async fn run(args: cli::Screenshot) -> Result<ExitOutcome> {
    let loaded = show::load(Some(&args.script), &args.args, &args.demosh, &args.on)?;
    let theme = Theme::named(&args.theme)?;
    // Opened first: a place that cannot be written to is told before the script is run.
    let file = record::create(&args.output, args.force)?;
    let settings = Settings {
        on_failure: OnFailure::Stop,
        typing: Typing::Instant,
        step_timeout: Some(Duration::from_secs(120)),
        grace: Duration::ZERO,
    };
    let engine = loaded.engine(settings);
    let (title, step) = (engine.state().title.clone(), args.step);
    let (columns, rows) = args.size;
    let screen = Rc::new(RefCell::new(Buffer::empty(Rect::new(0, 0, columns, rows))));
    let camera = Camera {
        view: View::new(theme),
        screen: screen.clone(),
        above: Above::default(),
    };
    let cast = loaded
        .cast(Input::Nobody, &args.on, Afterwards::CleanUp)
        .await?;
    let pilot = Pilot::Auto(Box::new(move |state| match is_there(state, step) {
        true => Press::new(LOOKING, Intent::Leave),
        false => Press::new(Duration::ZERO, Intent::Enter),
    }));
    let outcome = drive(
        engine,
        pilot,
        Clock::new(Pace::Live),
        cast,
        vec![Box::new(camera)],
    )
    .await?;
    match outcome {
        Outcome::Quit => {}
        Outcome::Finished => {
            remove(&args.output);
            bail!("the script ends before a step {step}");
        }
        Outcome::Failed { location, reason } => {
            remove(&args.output);
            eprintln!("footlights: {location}: {reason}; no picture was taken");
            return Ok(ExitOutcome::ShowFailed);
        }
    }
    let picture = svg::draw(&screen.borrow(), &format!("{title}, step {step}"));
    std::io::Write::write_all(&mut &file, picture.as_bytes())
        .with_context(|| format!("writing {}", args.output.display()))?;
    Ok(ExitOutcome::Good)
}

/// The file is there, and empty: nobody wants it.
fn remove(path: &Path) {
    let _ = std::fs::remove_file(path);
}

/// True once the step has run, what is expected of it is judged, and the show waits.
fn is_there(state: &State, step: usize) -> bool {
    let stands = state.step > step || state.step == step && !state.is_before_a_command();
    state.is_waiting() && stands
}

struct Camera {
    view: View,
    screen: Rc<RefCell<Buffer>>,
    above: Above,
}

impl Output for Camera {
    fn update(&mut self, _: Duration, state: &State) -> Result<()> {
        if state.outcome.is_some() {
            // The last look counts, not the end.
            return Ok(());
        }
        let mut screen = self.screen.borrow_mut();
        screen.reset();
        let area = screen.area;
        self.above = self.view.draw(state, area, &mut screen);
        Ok(())
    }

    fn above(&self) -> Above {
        self.above
    }

    fn stage(&self, state: &State) -> Option<Stage> {
        let stage = view::layout(state, self.screen.borrow().area).stage;
        Some(Stage {
            columns: stage.width,
            rows: stage.height,
        })
    }
}
