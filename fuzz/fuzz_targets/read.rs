//! No input makes the reader panic or hang, and every line is in exactly one part. A script that is
//! read is walked too: what it would show and run.

#![no_main]

use std::sync::Arc;

use footlights::script::directive::Target;
use footlights::script::walk::Walk;
use footlights::script::{front, parse, read};

/// Macros that call macros may unfold to more than anybody waits for.
const MOST: usize = 10_000;

libfuzzer_sys::fuzz_target!(|text: &str| {
    for file in ["x.md", "x.sh"] {
        let lines: Vec<&str> = text.split('\n').collect();
        let skipped = front::read(&file.into(), &lines, &mut Vec::new()).1;
        let mut next = 0;
        for part in read::read(&file.into(), &lines, skipped, &mut Vec::new()) {
            assert_eq!(part.lines.start, next);
            next = part.lines.end;
        }
        assert_eq!(next, lines.len());
        let script = parse(file, text);
        Walk::new(Arc::new(script), Target::Embedded).take(MOST).for_each(drop);
    }
});
