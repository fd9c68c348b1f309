//! Front matter: YAML between `---` lines at the top of a Markdown script.

use std::sync::Arc;

use serde::de::Error;
use serde::{Deserialize, Deserializer};

use super::directive::{self, GridChange};
use super::{Diagnostic, Location, Severity};

/// What the front matter says; everything has a default.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Front {
    /// The title on the screen.
    pub title: Option<String>,
    /// How long the talk is meant to take.
    pub minutes: Option<u32>,
    /// The theme, unless the command line names one.
    pub theme: Option<String>,
    /// What the embedded cluster starts with.
    pub cluster: ClusterNeeds,
    /// The grid that it begins with, unless it is the default one.
    #[serde(deserialize_with = "grid")]
    pub grid: Option<GridChange>,
    /// Programs that have to be there.
    pub requires: Vec<String>,
    /// The contexts that it may run on with `--context`; all if empty.
    pub contexts: Vec<String>,
}

/// `grid:` of the front matter, as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GridKeys {
    app: Option<App>,
    rows: Option<usize>,
    cols: Option<usize>,
    rate: Option<usize>,
    users: Option<Vec<String>>,
}

/// The apps whose answers the grid can show.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum App {
    Faces,
}

/// The same change as `@grid` with the same words makes.
fn grid<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<GridChange>, D::Error> {
    let GridKeys {
        app: None | Some(App::Faces),
        rows,
        cols,
        rate,
        users,
    } = GridKeys::deserialize(deserializer)?;
    let numbers = [("rows", rows), ("cols", cols), ("rate", rate)];
    let numbers = numbers
        .into_iter()
        .filter_map(|(key, number)| Some(format!("{key}={}", number?)));
    let users = users.map(|users| format!("users={}", users.join(",")));
    let words: Vec<String> = numbers.chain(users).collect();
    match directive::grid(&words.join(" ")) {
        Ok(change) => Ok(Some(change)),
        Err(problem) => Err(D::Error::custom(format!(
            "{}: {}",
            problem.message, problem.help
        ))),
    }
}

/// `cluster:` of the front matter.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClusterNeeds {
    /// `bare`, `gateway` (default) or `workshop`.
    pub profile: ProfileName,
}

/// The profiles of the embedded cluster, by name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProfileName {
    /// Namespaces only.
    Bare,
    /// The Gateway API and a GatewayClass.
    #[default]
    Gateway,
    /// Faces, its Gateway and its base routes too.
    Workshop,
}

/// Reads the front matter; returns it and the number of lines that it takes.
pub fn read(file: &Arc<str>, lines: &[&str], diagnostics: &mut Vec<Diagnostic>) -> (Front, usize) {
    if lines.first().map(|l| l.trim_end()) != Some("---") {
        return (Front::default(), 0);
    }
    let Some(length) = lines[1..].iter().position(|l| l.trim_end() == "---") else {
        // A rule at the top of an article is no front matter; a key and its value are.
        let looks = lines.get(1).and_then(|line| line.split_once(':'));
        let is_key = |key: &str| !key.is_empty() && key.bytes().all(|b| b.is_ascii_lowercase());
        if looks.is_some_and(|(key, _)| is_key(key)) {
            diagnostics.push(Diagnostic {
                severity: Severity::Error,
                location: Location {
                    file: file.clone(),
                    line: 1,
                },
                column: 1,
                source: lines[0].to_owned(),
                message: "the front matter is never closed".to_owned(),
                help: "end it with a line of three dashes".to_owned(),
            });
        }
        return (Front::default(), 0);
    };
    let text = lines[1..=length].join("\n");
    match serde_yaml::from_str::<Option<Front>>(&text) {
        Ok(front) => (front.unwrap_or_default(), length + 2),
        Err(error) => {
            let (line, column) = error.location().map_or((1, 1), |l| (l.line(), l.column()));
            diagnostics.push(Diagnostic {
                severity: Severity::Error,
                location: Location {
                    file: file.clone(),
                    line: line + 1,
                },
                column: column.max(1),
                source: lines.get(line).unwrap_or(&"").to_string(),
                message: format!("the front matter is not understood: {error}"),
                help: "it is YAML with title, minutes, theme, cluster: {profile: bare|gateway|workshop}, grid: {app, rows, cols, rate, users}, requires and contexts"
                    .to_owned(),
            });
            (Front::default(), length + 2)
        }
    }
}
