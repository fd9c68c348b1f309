//! Percent-encoding of URLs and gRPC messages. Pure.

/// Encodes all bytes but those that may stand as they are.
pub fn encode(text: &str, plain: fn(u8) -> bool) -> String {
    text.bytes()
        .map(|b| match plain(b) {
            true => char::from(b).to_string(),
            false => format!("%{b:02X}"),
        })
        .collect()
}

/// Decodes a name or value of a query, where `+` is a space.
pub fn decode_query(text: &str) -> String {
    decode(&text.replace('+', " "))
}

/// Decodes `%XX`; what is no escape stays.
pub fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let escaped = match (first, tail) {
            (b'%', [a, b, ..]) => hex(*a).zip(hex(*b)).map(|(a, b)| a * 16 + b),
            _ => None,
        };
        bytes.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|d| d as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_is_decoded() {
        let text = "a b&c=%+\u{e9}/";
        let encoded = encode(text, |b| b.is_ascii_alphanumeric());
        assert_eq!(encoded, "a%20b%26c%3D%25%2B%C3%A9%2F");
        assert_eq!(decode(&encoded), text);
        assert_eq!(decode("a+b%2"), "a+b%2");
        assert_eq!(decode_query("a+b%2B"), "a b+");
    }
}
