//! `footlights screenshot`: a script unattended, and its screen after some steps as pictures.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
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

/// Takes the pictures.
pub async fn run(args: cli::Screenshot) -> Result<ExitOutcome> {
    let loaded = show::load(Some(&args.script), &args.args, &args.demosh, &args.on)?;
    let theme = Theme::named(&args.theme)?;
    let steps: BTreeSet<usize> = args.steps.iter().copied().collect();
    let cast = loaded
        .cast(Input::Nobody, &args.on, Afterwards::CleanUp)
        .await?;
    // A place that cannot be written to is told before the script is run.
    let files = open(&steps, &args)?;
    let settings = Settings {
        on_failure: OnFailure::Stop,
        typing: Typing::Instant,
        step_timeout: Some(Duration::from_secs(120)),
        grace: Duration::ZERO,
    };
    let engine = loaded.engine(settings);
    let title = engine.state().title.clone();
    let (columns, rows) = args.size;
    let wanted = Rc::new(RefCell::new(Wanted {
        steps,
        looking: None,
    }));
    let screens = Rc::new(RefCell::new(BTreeMap::new()));
    let camera = Camera {
        view: View::new(theme),
        area: Rect::new(0, 0, columns, rows),
        wanted: wanted.clone(),
        screens: screens.clone(),
        above: Above::default(),
    };
    let pilot = Pilot::Auto(Box::new(move |state| {
        let mut wanted = wanted.borrow_mut();
        match wanted.steps.first() {
            Some(step) if !is_there(state, *step) => Press::new(Duration::ZERO, Intent::Enter),
            _ => {
                // The camera looks at it until the show goes on.
                wanted.looking = wanted
                    .steps
                    .pop_first()
                    .map(|step| (step, Moment::of(state)));
                let is_last = wanted.steps.is_empty();
                let intent = if is_last {
                    Intent::Leave
                } else {
                    Intent::Enter
                };
                Press::new(LOOKING, intent)
            }
        }
    }));
    let clock = Clock::new(Pace::Live);
    let played = drive(engine, pilot, clock, cast, vec![Box::new(camera)]).await;
    let outcome = played.inspect_err(|_| discard(files.values()))?;
    let screens = screens.take();
    for (step, (path, mut file)) in files {
        match screens.get(&step) {
            Some(screen) => {
                let picture = svg::draw(screen, &format!("{title}, step {step}"));
                file.write_all(picture.as_bytes())
                    .with_context(|| format!("writing {}", path.display()))?;
            }
            None => discard([&(path, file)]),
        }
    }
    match outcome {
        Outcome::Quit => Ok(ExitOutcome::Good),
        Outcome::Finished => bail!("the script ends before the last of these steps"),
        Outcome::Failed { location, reason } => {
            eprintln!("footlights: {location}: {reason}; no further picture was taken");
            Ok(ExitOutcome::ShowFailed)
        }
    }
}

/// Nobody wants an empty file.
fn discard<'f>(files: impl IntoIterator<Item = &'f (PathBuf, File)>) {
    for (path, _) in files {
        let _ = std::fs::remove_file(path);
    }
}

/// The files of the steps: `{step}` in the name is the step's number.
fn open(
    steps: &BTreeSet<usize>,
    args: &cli::Screenshot,
) -> Result<BTreeMap<usize, (PathBuf, File)>> {
    let name = args.output.to_string_lossy();
    if steps.len() > 1 && !name.contains("{step}") {
        bail!("{name} would be one file for several steps: put {{step}} into its name");
    }
    steps
        .iter()
        .map(|step| {
            let path = PathBuf::from(name.replace("{step}", &step.to_string()));
            let file = record::create(&path, args.force)?;
            Ok((*step, (path, file)))
        })
        .collect()
}

/// True once the step has run, what is expected of it is judged, and the show waits.
fn is_there(state: &State, step: usize) -> bool {
    let stands = state.step > step || state.step == step && !state.is_before_a_command();
    state.is_waiting() && stands
}

/// What is still to be looked at, and what is looked at now.
struct Wanted {
    steps: BTreeSet<usize>,
    looking: Option<(usize, Moment)>,
}

/// One wait of a show: what stands on the stage changes with the next.
#[derive(PartialEq)]
struct Moment {
    step: usize,
    blocks: usize,
    pages: usize,
}

impl Moment {
    fn of(state: &State) -> Self {
        Moment {
            step: state.step,
            blocks: state.page.len(),
            pages: state.history.len(),
        }
    }
}

struct Camera {
    view: View,
    area: Rect,
    wanted: Rc<RefCell<Wanted>>,
    screens: Rc<RefCell<BTreeMap<usize, Buffer>>>,
    above: Above,
}

impl Output for Camera {
    fn update(&mut self, _: Duration, state: &State) -> Result<()> {
        let mut screen = Buffer::empty(self.area);
        self.above = self.view.draw(state, self.area, &mut screen);
        let wanted = self.wanted.borrow();
        if let Some((step, moment)) = &wanted.looking
            && state.is_waiting()
            && *moment == Moment::of(state)
        {
            // The last look before the show goes on is the picture.
            self.screens.borrow_mut().insert(*step, screen);
        }
        Ok(())
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
