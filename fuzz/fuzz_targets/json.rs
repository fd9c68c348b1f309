//! JSON from a fuzzer's bytes: random values whose keys and texts are words that mean something to
//! what is tried, so that the fuzzer gets past the first check.

use libfuzzer_sys::arbitrary::{Result, Unstructured};
use serde_json::{Map, Number, Value};

/// A value of at most `depth` levels.
pub fn value(bytes: &mut Unstructured<'_>, words: &[&str], depth: usize) -> Result<Value> {
    let most = if depth == 0 { 5 } else { 7 };
    Ok(match bytes.int_in_range(0..=most)? {
        0 => Value::Null,
        1 => Value::Bool(bytes.arbitrary()?),
        2 => Value::Number(Number::from(bytes.arbitrary::<i8>()?)),
        3 => Value::Number(Number::from(bytes.arbitrary::<i64>()?)),
        4 => Value::String(bytes.choose(words)?.to_string()),
        5 => Value::String(bytes.arbitrary::<&str>()?.to_owned()),
        6 => {
            let count = bytes.int_in_range(0..=3)?;
            let items = (0..count).map(|_| value(bytes, words, depth - 1));
            Value::Array(items.collect::<Result<_>>()?)
        }
        _ => object(bytes, words, depth)?,
    })
}

/// An object of at most `depth` levels.
pub fn object(bytes: &mut Unstructured<'_>, words: &[&str], depth: usize) -> Result<Value> {
    let mut fields = Map::new();
    for _ in 0..bytes.int_in_range(0..=5)? {
        let key = *bytes.choose(words)?;
        fields.insert(key.to_owned(), value(bytes, words, depth.saturating_sub(1))?);
    }
    Ok(Value::Object(fields))
}
