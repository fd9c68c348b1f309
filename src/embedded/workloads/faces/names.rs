//! Smileys and colours by name (FACES.md 4).

/// The smiley of an environment variable `SMILEY`, as the HTML entity that travels on the wire.
pub fn smiley(name: Option<&str>) -> (&'static str, &'static str) {
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
    // An unknown name is Vomiting, the table's last.
    let found = TABLE.iter().find(|(n, _)| *n == name);
    *found.unwrap_or(&TABLE[TABLE.len() - 1])
}

/// The colour of an environment variable `COLOR`: a name, or `#…` as it stands; else yellow.
pub fn color(name: Option<&str>) -> String {
    let name = name.unwrap_or("blue");
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
    fn names_resolve_as_in_2_0_0() {
        assert_eq!(smiley(None).1, "&#x1F603;");
        assert_eq!(smiley(Some("HeartEyes")).1, "&#x1F60D;");
        assert_eq!(smiley(Some("hearteyes")).1, "&#x1F92E;");
        for (name, hex) in [
            (None, "#66CCEE"),
            (Some("green"), "#228833"),
            (Some("darkblue"), "#4477AA"),
            (Some("#xyz"), "#xyz"),
            (Some("Blue"), "#CCBB44"),
            (Some("orange"), "#CCBB44"),
        ] {
            assert_eq!(color(name), hex);
        }
    }
}
