//! The loop: turns the world into events, hands them to the engine, and performs its effects.
//!
//! All waiting of a show happens here. A mode chooses who presses the keys ([`Pilot`]), which clock
//! runs and where the screen goes ([`Output`]); nothing else.

mod afterwards;
mod ready;
mod world;

use std::time::Duration;

use anyhow::Result;
use crossterm::event::EventStream;
use futures::StreamExt;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::clock::Clock;
use crate::engine::{Above, Effect, Engine, Event, Intent, Outcome, State};
use crate::input;

pub use afterwards::Afterwards;
pub use world::{Cast, Stage, Stand, World};

/// Who presses the keys.
pub enum Pilot {
    /// A presenter.
    Keyboard(EventStream),
    /// Nobody: a key is pressed each time that the show waits.
    Auto(Box<dyn Fn(&State) -> Press>),
}

impl Pilot {
    /// Whatever waits goes on, after a time to read.
    pub fn reading(time: fn(&State) -> Duration) -> Self {
        Pilot::Auto(Box::new(move |state| {
            Press::new(time(state), Intent::Enter)
        }))
    }
}

/// A key that nobody presses.
pub struct Press {
    after: Duration,
    intent: Intent,
}

impl Press {
    /// A key, after a pause.
    pub fn new(after: Duration, intent: Intent) -> Self {
        Press { after, intent }
    }
}

/// Where a show goes: a screen, a cast, a report.
pub trait Output {
    /// Draws the state, if it is one that draws. `at` is the viewer's time.
    fn update(&mut self, at: Duration, state: &State) -> Result<()>;

    /// A named place was reached.
    fn mark(&mut self, at: Duration, label: &str) -> Result<()> {
        let _ = (at, label);
        Ok(())
    }

    /// The size of the stage, where commands write to; none if it does not draw.
    fn stage(&self, state: &State) -> Option<Stage> {
        let _ = state;
        None
    }

    /// What of the page stands above the screen, as last drawn.
    fn above(&self) -> Above {
        Above::default()
    }

    /// The terminal has another size.
    fn resized(&mut self) -> Result<()> {
        Ok(())
    }
}

/// The screen is drawn at most this often …
const FRAME: Duration = Duration::from_millis(16);
/// … and at least this often, since cells fade and the clock ticks.
const TICK: Duration = Duration::from_millis(200);

/// Runs a show to its end. When this returns, everything that it started has ended.
pub async fn drive(
    mut engine: Engine,
    pilot: Pilot,
    clock: Clock,
    cast: Cast,
    mut outputs: Vec<Box<dyn Output>>,
) -> Result<Outcome> {
    let (sender, mut events) = unbounded_channel();
    let stage = outputs
        .iter()
        .find_map(|o| o.stage(engine.state()))
        .unwrap_or_default();
    // The first frame comes before the cluster is there.
    let first = engine.handle(clock.elapsed(), Event::Tick);
    draw(&mut outputs, &clock, &mut engine)?;
    let mut world = World::new(cast, clock.clone(), sender.clone(), stage);
    let show = Show {
        engine,
        pilot,
        clock,
        sender,
        events: &mut events,
        outputs,
    };
    let outcome = show.play(first, &mut world).await;
    world.hear_out(&mut events).await;
    world.wind_up().await;
    world.close().await;
    outcome
}

/// A show and its ends.
struct Show<'a> {
    engine: Engine,
    pilot: Pilot,
    clock: Clock,
    sender: UnboundedSender<Event>,
    events: &'a mut UnboundedReceiver<Event>,
    outputs: Vec<Box<dyn Output>>,
}

impl Show<'_> {
    async fn play(self, mut pending: Vec<Effect>, world: &mut World) -> Result<Outcome> {
        let Show {
            mut engine,
            mut pilot,
            clock,
            sender,
            events,
            mut outputs,
        } = self;
        let mut ended = std::pin::pin!(crate::mode::terminated());
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        // Viewer's time: a skipping clock makes frames of pauses that take no time here.
        let mut drawn = clock.viewer_time();
        let mut is_stale = false;
        let mut pressed_at = None;
        loop {
            for effect in pending.drain(..) {
                match effect {
                    Effect::Mark(label) => {
                        for output in &mut outputs {
                            output.mark(clock.viewer_time(), &label)?;
                        }
                    }
                    effect => world.perform(effect),
                }
            }
            if let Some(outcome) = engine.state().outcome.clone() {
                draw(&mut outputs, &clock, &mut engine)?;
                return Ok(outcome);
            }
            if let Pilot::Auto(key) = &pilot {
                // What a viewer reads in the pause has to be there before it is counted.
                if is_stale && engine.state().is_waiting() {
                    draw(&mut outputs, &clock, &mut engine)?;
                    drawn = clock.viewer_time();
                    is_stale = false;
                }
                press(&engine, &clock, &sender, key, &mut pressed_at);
            }
            let event = tokio::select! {
                event = next(events) => event,
                key = key(&mut pilot, &engine), if matches!(pilot, Pilot::Keyboard(_)) => match key {
                    Key::Intent(intent) => Event::Intent(intent),
                    Key::Resized => {
                        for output in &mut outputs {
                            output.resized()?;
                        }
                        Event::Tick
                    }
                    Key::Ignored => continue,
                    Key::Gone => return Ok(Outcome::Quit),
                },
                _ = tick.tick() => Event::Tick,
                () = tokio::time::sleep(FRAME.saturating_sub(clock.viewer_time().saturating_sub(drawn))),
                    if is_stale => Event::Tick,
                () = &mut ended => return Ok(Outcome::Quit),
            };
            world.notice(&event);
            pending = engine.handle(clock.elapsed(), event);
            // What is there already comes before the next frame, which is then of one piece.
            while pending.is_empty() && clock.viewer_time().saturating_sub(drawn) < FRAME {
                let Ok(event) = events.try_recv() else {
                    break;
                };
                world.notice(&event);
                pending = engine.handle(clock.elapsed(), event);
            }
            if clock.viewer_time().saturating_sub(drawn) >= FRAME
                || engine.state().outcome.is_some()
            {
                draw(&mut outputs, &clock, &mut engine)?;
                drawn = clock.viewer_time();
                is_stale = false;
                if let Some(stage) = outputs.iter().find_map(|o| o.stage(engine.state())) {
                    world.resize(stage);
                }
            } else {
                is_stale = true;
            }
        }
    }
}

/// Draws the state, and tells the show how much of its page the screen could not hold.
fn draw(outputs: &mut [Box<dyn Output>], clock: &Clock, engine: &mut Engine) -> Result<()> {
    update(outputs, clock, engine.state())?;
    let above = outputs
        .iter()
        .map(|output| output.above())
        .find(|a| a.height > 0);
    if let Some(above) = above {
        let scrolled = engine.state().scrolled;
        let effects = engine.handle(clock.elapsed(), Event::Shown(above));
        debug_assert!(effects.is_empty(), "what is shown asks for nothing");
        if engine.state().scrolled != scrolled {
            update(outputs, clock, engine.state())?;
        }
    }
    Ok(())
}

fn update(outputs: &mut [Box<dyn Output>], clock: &Clock, state: &State) -> Result<()> {
    for output in outputs {
        output.update(clock.viewer_time(), state)?;
    }
    Ok(())
}

async fn next(events: &mut UnboundedReceiver<Event>) -> Event {
    match events.recv().await {
        Some(event) => event,
        // The loop holds a sender itself.
        None => std::future::pending().await,
    }
}

enum Key {
    Intent(Intent),
    Resized,
    Ignored,
    Gone,
}

async fn key(pilot: &mut Pilot, engine: &Engine) -> Key {
    let Pilot::Keyboard(stream) = pilot else {
        return std::future::pending().await;
    };
    match stream.next().await {
        Some(Ok(crossterm::event::Event::Key(key))) => {
            input::intent(key, engine.state()).map_or(Key::Ignored, Key::Intent)
        }
        Some(Ok(crossterm::event::Event::Paste(text))) => {
            Key::Intent(Intent::Type(text.into_bytes()))
        }
        Some(Ok(crossterm::event::Event::Resize(..))) => Key::Resized,
        Some(Ok(_)) => Key::Ignored,
        // The terminal has gone.
        Some(Err(_)) | None => Key::Gone,
    }
}

/// Presses a key for a show without a presenter, once for each time that it waits.
fn press(
    engine: &Engine,
    clock: &Clock,
    sender: &UnboundedSender<Event>,
    key: &dyn Fn(&State) -> Press,
    pressed_at: &mut Option<usize>,
) {
    let waits = engine.waits();
    if !engine.state().is_waiting() || *pressed_at == Some(waits) {
        return;
    }
    *pressed_at = Some(waits);
    let (clock, sender) = (clock.clone(), sender.clone());
    let Press { after, intent } = key(engine.state());
    tokio::spawn(async move {
        clock.pause(after).await;
        let _ = sender.send(Event::Intent(intent));
    });
}
