//! Smileys and colours by name (FACES.md 4).

use super::role::Edition;

/// The smiley of an environment variable `SMILEY`, as the HTML entity that travels on the wire.
pub fn smiley(name: Option<&str>, edition: Edition) -> (&'static str, &'static str) {
    const TABLE: [(&str, &str); 9] = [
        ("Grinning", "&#x1F603;"),
        ("Sleeping", "&#x1F634;"),
        ("Cursing", "&#x1F92C;"),
        ("Kaboom", "&#x1F92F;"),
        ("HeartEyes", "&#x1F60D;"),
        ("Neutral", "&#x1F610;"),
        ("RollingEyes", "&#x1F644;"),
        ("Screaming", "&#x1F631;"),
        ("Vomiting", "&#x1F92E;"),
    ];
    let name = name.unwrap_or("Grinning");
    let unknown = match edition {
        Edition::Candidate => ("Neutral", "&#x1F610;"),
        Edition::Release => ("Vomiting", "&#x1F92E;"),
    };
    let found = TABLE.iter().find(|(n, _)| *n == name);
    found.copied().unwrap_or(unknown)
}

/// What stands for too many requests.
pub const KABOOM: &str = "&#x1F92F;";
/// What stands for a time-out.
pub const SLEEPING: &str = "&#x1F634;";
/// What stands for a failure.
pub const CURSING: &str = "&#x1F92C;";

/// The colour of an environment variable `COLOR`: a name, or `#…` as it stands; else yellow.
pub fn color(name: &str) -> String {
    if name.starts_with('#') {
        return name.to_owned();
    }
    match name {
        "blue" => "#66CCEE",
        "darkblue" => "#4477AA",
        "green" => "#228833",
        "red" => "#EE6677",
        "purple" => "#AA3377",
        "grey" => "#BBBBBB",
        "black" => "#000000",
        "white" => "#FFFFFF",
        _ => "#CCBB44",
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_resolve_as_in_their_release() {
        let entity = |name, edition| smiley(name, edition).1;
        assert_eq!(entity(None, Edition::Release), "&#x1F603;");
        assert_eq!(entity(Some("HeartEyes"), Edition::Release), "&#x1F60D;");
        assert_eq!(entity(Some("hearteyes"), Edition::Release), "&#x1F92E;");
        assert_eq!(entity(Some("hearteyes"), Edition::Candidate), "&#x1F610;");
        for (name, hex) in [
            ("blue", "#66CCEE"),
            ("green", "#228833"),
            ("darkblue", "#4477AA"),
            ("#xyz", "#xyz"),
            ("Blue", "#CCBB44"),
            ("orange", "#CCBB44"),
        ] {
            assert_eq!(color(name), hex);
        }
    }
}
