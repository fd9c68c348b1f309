//! `${NAME}` in what is shown: replaced if the name is known, left as it stands if not.

use std::collections::BTreeMap;

/// The variables of a shell, `0`, `1` and so on among them.
pub type Variables = BTreeMap<String, String>;

/// The text with each `${NAME}` of a known variable replaced. Values are not looked into again.
pub fn interpolate(text: &str, variables: &Variables) -> String {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        result.push_str(&rest[..start]);
        rest = &rest[start..];
        let is_name = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_';
        let length = rest.bytes().skip(2).take_while(is_name).count();
        let name = &rest[2..2 + length];
        let is_closed = rest[2 + length..].starts_with('}');
        match variables.get(name) {
            Some(value) if is_closed => {
                result.push_str(value);
                rest = &rest[name.len() + 3..];
            }
            _ => {
                result.push_str("${");
                rest = &rest[2..];
            }
        }
    }
    result + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_names_are_replaced_and_nothing_else() {
        let variables: Variables = [("A", "1"), ("0", "/x"), ("L", "${A}")]
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .into();
        for (text, shown) in [
            ("a ${A} b", "a 1 b"),
            ("'${A}' ${0}", "'1' /x"),
            ("$A ${A:-x} ${B} ${", "$A ${A:-x} ${B} ${"),
            ("${${A}}", "${1}"),
            ("${L}", "${A}"),
            ("ü${A}ü${A", "ü1ü${A"),
        ] {
            assert_eq!(interpolate(text, &variables), shown, "{text}");
        }
    }
}
