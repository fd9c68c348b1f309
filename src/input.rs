//! Keys to intents: a pure function of the key and of what is going on.

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use crate::engine::{Intent, Overlay, Phase, State};

/// What a key means now; none for keys that mean nothing.
pub fn intent(key: KeyEvent, state: &State) -> Option<Intent> {
    if key.kind == KeyEventKind::Release {
        return None;
    }
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    // `^]` is byte 0x1d, which a terminal may also report as Ctrl-5.
    if control && matches!(key.code, KeyCode::Char(']' | '5')) {
        return Some(Intent::Focus);
    }
    if let Phase::Running { focus: true, .. } = state.phase
        && state.overlay == Overlay::None
    {
        return bytes(key).map(Intent::Type);
    }
    let repeated = key.kind == KeyEventKind::Repeat;
    match (key.code, control) {
        (KeyCode::Char('c'), true) => Some(Intent::Interrupt),
        (_, true) => None,
        // A key that is held down advances once.
        (KeyCode::Enter | KeyCode::Char(' ') | KeyCode::PageDown | KeyCode::Right, _)
            if repeated =>
        {
            None
        }
        (KeyCode::Enter, _) => Some(Intent::Enter),
        (KeyCode::Char(' ') | KeyCode::PageDown | KeyCode::Right, _) => Some(Intent::Next),
        (KeyCode::PageUp | KeyCode::Left | KeyCode::Backspace, _) => Some(Intent::LookBack),
        (KeyCode::Char('y' | 'Y'), _) if state.overlay == Overlay::Quit => Some(Intent::Yes),
        (KeyCode::Char('q' | 'Q'), _) => Some(Intent::Quit),
        (KeyCode::Char('+'), _) => Some(Intent::Skip),
        (KeyCode::Char('-'), _) => Some(Intent::Repeat),
        (KeyCode::Char('z'), _) => Some(Intent::Zoom),
        (KeyCode::Char('b' | '.'), _) => Some(Intent::Blank),
        (KeyCode::Char('?' | 'h'), _) => Some(Intent::Help),
        (KeyCode::Char('s'), _) => Some(Intent::Notes),
        // Clickers send Esc and F5 in turn from one button: neither ever quits.
        (KeyCode::Esc | KeyCode::F(5), _) => Some(Intent::Close),
        // Any key closes what lies over the screen.
        _ if state.overlay != Overlay::None => Some(Intent::Close),
        _ => None,
    }
}

/// What a terminal sends for a key (xterm's encoding).
fn bytes(key: KeyEvent) -> Option<Vec<u8>> {
    let mut bytes = match key.code {
        KeyCode::Char(c) if key.modifiers.contains(KeyModifiers::CONTROL) => {
            let c = c.to_ascii_uppercase();
            // Control keys are the letters' codes without their upper bits: ^A is 1.
            let code = u8::try_from(u32::from(c)).ok()?;
            vec![code & 0x1f]
        }
        KeyCode::Char(c) => c.to_string().into_bytes(),
        KeyCode::Enter => b"\r".to_vec(),
        KeyCode::Tab => b"\t".to_vec(),
        KeyCode::BackTab => b"\x1b[Z".to_vec(),
        KeyCode::Backspace => b"\x7f".to_vec(),
        KeyCode::Esc => b"\x1b".to_vec(),
        KeyCode::Up => b"\x1b[A".to_vec(),
        KeyCode::Down => b"\x1b[B".to_vec(),
        KeyCode::Right => b"\x1b[C".to_vec(),
        KeyCode::Left => b"\x1b[D".to_vec(),
        KeyCode::Home => b"\x1b[H".to_vec(),
        KeyCode::End => b"\x1b[F".to_vec(),
        KeyCode::PageUp => b"\x1b[5~".to_vec(),
        KeyCode::PageDown => b"\x1b[6~".to_vec(),
        KeyCode::Delete => b"\x1b[3~".to_vec(),
        KeyCode::Insert => b"\x1b[2~".to_vec(),
        _ => return None,
    };
    if key.modifiers.contains(KeyModifiers::ALT) {
        bytes.insert(0, 0x1b);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Engine, GRACE, OnFailure, Settings, Typing};
    use crate::script::{self, interpolate::Variables};

    fn state(phase: Phase) -> State {
        let settings = Settings {
            on_failure: OnFailure::GoOn,
            typing: Typing::Instant,
            step_timeout: None,
            grace: GRACE,
        };
        let script = script::parse("x.md", "a");
        let mut state = Engine::new(
            script,
            crate::engine::Ground::Embedded,
            Variables::new(),
            settings,
        )
        .state()
        .clone();
        state.phase = phase;
        state
    }

    fn press(code: KeyCode) -> KeyEvent {
        KeyEvent::new(code, KeyModifiers::NONE)
    }

    #[test]
    fn letters_never_run_anything_and_esc_never_quits() {
        let state = state(Phase::Beginning);
        for c in ('a'..='z').chain('A'..='Z') {
            let intent = intent(press(KeyCode::Char(c)), &state);
            assert!(
                !matches!(intent, Some(Intent::Enter | Intent::Next | Intent::Yes)),
                "{c}"
            );
        }
        assert_eq!(intent(press(KeyCode::Esc), &state), Some(Intent::Close));
        assert_eq!(
            intent(press(KeyCode::PageUp), &state),
            Some(Intent::LookBack)
        );
    }

    #[test]
    fn a_focused_program_gets_every_key_but_one() {
        let focused = Phase::Running {
            id: 1,
            since: std::time::Duration::ZERO,
            focus: true,
        };
        let state = state(focused);
        for (key, bytes) in [
            (press(KeyCode::Char('q')), b"q".to_vec()),
            (press(KeyCode::Enter), b"\r".to_vec()),
            (press(KeyCode::Up), b"\x1b[A".to_vec()),
            (
                KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL),
                vec![3],
            ),
            (
                KeyEvent::new(KeyCode::Char('x'), KeyModifiers::ALT),
                b"\x1bx".to_vec(),
            ),
        ] {
            assert_eq!(intent(key, &state), Some(Intent::Type(bytes)));
        }
        let escape = KeyEvent::new(KeyCode::Char(']'), KeyModifiers::CONTROL);
        assert_eq!(intent(escape, &state), Some(Intent::Focus));
    }
}
